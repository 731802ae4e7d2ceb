/** Why a function file does not load, in Bun, whose parser the unit tests do not have. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

const LOAD = join(import.meta.dirname, "../../../runtime/function/load.ts");
const folder = mkdtempSync(join(tmpdir(), "hypersdk-load-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** What a process prints that loads the folder: each path, and why it does not load. */
function loaded(timeout = 60_000) {
  const script = `import { loadFunctions } from ${JSON.stringify(LOAD)};
    const loaded = await loadFunctions(process.argv[1], ${timeout});
    for (const { path, error } of loaded) console.log(path, error.message);
    process.exit();`;
  return spawnSync(process.execPath, ["-e", script, folder], { encoding: "utf8" });
}

test.each([
  ["oops(\n", "broken.ts:1:6: Unexpected end of file"],
  ["let a;\nlet a; let b; let b;\n", 'broken.ts:2:5: "a" has already been declared'],
])("%j is an error with its place", (text, reason) => {
  writeFileSync(join(folder, "broken.ts"), text);
  expect(loaded()).toMatchObject({ stdout: `/broken ${folder}/${reason}\n`, stderr: "" });
});

test("a file that hangs is an error once no other has arrived for the timeout", () => {
  const files = { broken: "", slow: "await Bun.sleep(2000);", slower: "await Bun.sleep(4000);" };
  for (const [name, text] of Object.entries({ ...files, hangs: "await new Promise(() => {});" }))
    writeFileSync(join(folder, `${name}.ts`), `${text}\nexport {};\n`);
  const wrong = "its default export is not made by defineFunction";
  const hangs = "/hangs still loading after 3 s";
  const lines = [`/broken ${wrong}`, hangs, `/slow ${wrong}`, `/slower ${wrong}`];
  expect(loaded(3000)).toMatchObject({ stdout: `${lines.join("\n")}\n`, stderr: "" });
});
