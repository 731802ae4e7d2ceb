import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { select } from "../../../runtime/build/select.ts";

const folder = mkdtempSync(join(tmpdir(), "select-"));
for (const name of [
  "health",
  "libvirt/stats",
  "libvirt/stats/all",
  "libvirt/stats-of",
  "docs.json",
]) {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, `${name}.ts`), "");
}
afterAll(() => rmSync(folder, { recursive: true }));

const STATS = ["/libvirt/stats", "/libvirt/stats/all"];

test.each([
  ["health", "health", ["/health"]],
  ["libvirt/stats", "libvirt-stats", STATS],
  ["/libvirt/stats", "libvirt-stats", STATS],
  ["functions/libvirt/stats", "libvirt-stats", STATS],
  ["./functions/libvirt/stats.ts", "libvirt-stats", ["/libvirt/stats"]],
  ["libvirt/stats/", "libvirt-stats", ["/libvirt/stats/all"]],
  ["libvirt", "libvirt", ["/libvirt/stats-of", ...STATS]],
  ["docs.json", "docs-json", ["/docs.json"]],
  [".", "hypersdk", ["/docs.json", "/health", "/libvirt/stats-of", ...STATS]],
])("%s is %s", async (target, name, paths) => {
  const found = await select(target, folder);
  expect({ ...found, paths: found.paths.sort() }).toEqual({ name, paths: paths.sort() });
});

test.each(["libvirt/stat", "libvirt/stats.ts/", "", "..", "libvirt/../health"])(
  "%j is none",
  async (target) => {
    await expect(select(target, folder)).rejects.toMatchObject({ code: "invalid_input" });
  },
);
