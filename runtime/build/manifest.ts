/** The manifest of a bundle: its routes, and the size and SHA-256 of each file. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { methodText } from "../core/method.ts";
import { version } from "../core/version.ts";
import type { Spec } from "../function/define.ts";
import { loadFunction } from "../function/load.ts";
import type { Selection } from "./select.ts";

export interface Described {
  name: string;
  version: string;
  functions: ({ path: string; method: string } & Pick<Spec, "access" | "summary">)[];
}

export interface Manifest extends Described {
  /** The Bun version of the bytecode; other versions run the JavaScript. */
  bun: string;
  files: { file: string; bytes: number; sha256: string }[];
}

/** Throws the error of a function that does not load. */
export async function describe({ name, paths }: Selection): Promise<Described> {
  const functions = paths.map(async (path) => {
    const { spec } = await loadFunction(path);
    const { access, summary } = spec;
    return { path, method: methodText(spec), access, summary };
  });
  return { name, version, functions: await Promise.all(functions) };
}

export function describeFile(folder: string, file: string): Manifest["files"][number] {
  const content = readFileSync(join(folder, file));
  const sha256 = createHash("sha256").update(content).digest("hex");
  return { file, bytes: content.length, sha256 };
}
