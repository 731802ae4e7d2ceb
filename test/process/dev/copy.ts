/** A copy of the repository that a test may add files to. */
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../../..");

const COPIED = [
  "functions",
  "runtime",
  "test",
  "deploy",
  "package.json",
  "tsconfig.json",
  "biome.json",
];

export function copyOfRepository() {
  const root = mkdtempSync(join(tmpdir(), "checkout-"));
  for (const name of COPIED) {
    cpSync(join(ROOT, name), join(root, name), { recursive: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"));
  return { root, remove: () => rmSync(root, { recursive: true }) };
}
