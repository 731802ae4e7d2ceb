/** Why a function file does not load, in Bun, whose parser the unit tests do not have. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

const LOAD = join(import.meta.dirname, "../../../runtime/function/load.ts");
const folder = mkdtempSync(join(tmpdir(), "hypersdk-load-"));
afterAll(() => rmSync(folder, { recursive: true }));

test.each([
  ["oops(\n", "broken.ts:1:6: Unexpected end of file"],
  ["let a;\nlet a; let b; let b;\n", 'broken.ts:2:5: "a" has already been declared'],
])("%j is an error with its place", (text, reason) => {
  writeFileSync(join(folder, "broken.ts"), text);
  const script = `import { loadFunctions } from ${JSON.stringify(LOAD)};
    for (const { path, error } of await loadFunctions(process.argv[1])) console.log(path, error.message);`;
  const ran = spawnSync(process.execPath, ["-e", script, folder], { encoding: "utf8" });
  expect(ran).toMatchObject({ stdout: `/broken ${folder}/${reason}\n`, stderr: "" });
});
