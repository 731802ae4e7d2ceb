/** Writes runtime/client/api.ts, the types of every endpoint, from the files of functions/, without loading them. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FUNCTIONS, functionPaths } from "../function/load.ts";

const ROOT = join(import.meta.dirname, "../..");
export const API_FILE = join(ROOT, "runtime/client/api.ts");
const FROM_API_FILE = "../../functions";

const HEADER = `/**
 * Every endpoint with the type of its function, for \`connect\` and \`createClient\`. Only types: nothing of it is
 * left at run time. Generated from functions/ by \`npm run generate\`; do not edit.
 */

export interface Api {
`;

/** The text of api.ts. Throws for a function file whose first line does not name its method and URL. */
export async function apiTypes(folder = FUNCTIONS): Promise<string> {
  const paths = await functionPaths(folder);
  const lines = paths.flatMap((path) => {
    const source = readFileSync(join(folder, `${path}.ts`), "utf8");
    if (/^\s*media:/m.test(source)) return []; // a text, such as a page, is fetched and not called
    const type = `typeof import("${FROM_API_FILE}${path}.ts").default`;
    return methodsOf(source, path).map((method) => `  "${method} ${path}": ${type};\n`);
  });
  return `${HEADER}${lines.join("")}}\n`;
}

/** The contract (test/contract.test.ts) holds the first line to the methods that the function declares. */
function methodsOf(source: string, path: string): string[] {
  const [, methods, url] = /^\/\*\* ([A-Z]+(?:, [A-Z]+)*) (\/[^\s?:]*)/.exec(source) ?? [];
  if (methods && url === path) return methods.split(", ");
  throw new Error(
    `functions${path}.ts: its first line must be /** METHOD ${path}: what it does. */`,
  );
}

/** Returns whether the file has changed. */
export async function writeApiTypes(root = ROOT): Promise<boolean> {
  const text = await apiTypes(join(root, "functions"));
  const file = join(root, "runtime/client/api.ts");
  if (readFileSync(file, "utf8") === text) return false;
  writeFileSync(file, text);
  return true;
}

if (import.meta.main) {
  const changed = await writeApiTypes();
  console.log(`runtime/client/api.ts ${changed ? "was written" : "is up to date"}`);
}
