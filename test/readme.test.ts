/** The README's promises that a machine can check. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { loadConfig } from "../runtime/core/config.ts";
import { STATUS } from "../runtime/core/errors.ts";
import { loadFunctions } from "../runtime/function/load.ts";
import { createRouter } from "../runtime/server/router.ts";

process.env.LIBVIRT_DEFAULT_URI = "test:///default"; // needs no daemon
const root = join(import.meta.dirname, "..");
const readme = readFileSync(join(root, "README.md"), "utf8");

// within the repository, so that the example finds its packages
const copy = mkdtempSync(join(root, "test/fixtures/tmp-readme-"));
afterAll(() => rmSync(copy, { recursive: true }));

const block = (after: string, language: string) => {
  const start = readme.indexOf(`\`\`\`${language}\n`, readme.indexOf(after));
  return readme.slice(start + language.length + 4, readme.indexOf("\n```", start));
};

test("the example function works when pasted", async () => {
  const example = block("## Write a function", "ts");
  expect(example.split("\n").length).toBeLessThanOrEqual(18);
  mkdirSync(join(copy, "functions/libvirt"), { recursive: true });
  symlinkSync(join(root, "runtime"), join(copy, "runtime"));
  writeFileSync(join(copy, "functions/libvirt/running.ts"), example);
  const router = createRouter(await loadFunctions(join(copy, "functions")));
  const answer = await router.fetch(new Request("http://localhost/libvirt/running"));
  expect(answer.status).toBe(200);
  expect(await answer.json()).toMatchObject({
    status: "success",
    data: { running: expect.any(Number) },
  });
});

test("the example configuration is valid, and its values are the defaults", () => {
  const file = join(copy, "hypersdk.toml");
  writeFileSync(file, block("## Configuration", "toml"));
  const { hosts, ...shown } = loadConfig({ HYPERSDK_CONFIG: file });
  const { hosts: _, ...defaults } = loadConfig({});
  expect(shown).toEqual(defaults);
  expect(Object.keys(hosts)).toEqual(["local", "sandbox"]);
});

test("every error code stands in the table, beside its status", () => {
  const rows = readme
    .slice(readme.indexOf("## Errors"), readme.indexOf("## Configuration"))
    .split("\n");
  for (const [code, status] of Object.entries(STATUS)) {
    const row = rows.find((line) => line.includes(`\`${code}\``));
    expect(row, code).toContain(`${status}`);
  }
});
