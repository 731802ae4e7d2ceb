/** Loads the functions of this process from the folder `functions/`. A bundle has its own module in place of this one. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { HyperError } from "../core/errors.ts";
import type { HyperFunction } from "./define.ts";

export const FUNCTIONS = join(import.meta.dirname, "../../functions");

/** A function file: its function, or the reason why it does not load. */
export interface Loaded {
  path: string;
  function?: HyperFunction;
  error?: Error;
}

/** A file that is still loading then (top-level await) counts as failed. */
const LOAD_TIMEOUT_MS = 10_000;

/** The paths of all function files, such as `/libvirt/networks`. */
export async function functionPaths(folder = FUNCTIONS): Promise<string[]> {
  const files = await readdir(folder, { recursive: true });
  return files
    .filter((name) => name.endsWith(".ts"))
    .sort()
    .map((name) => `/${name.slice(0, -".ts".length)}`);
}

/** One function, without the others. Throws `not_found`, or why it does not load. */
export async function loadFunction(path: string, folder = FUNCTIONS): Promise<HyperFunction> {
  if ((await functionPaths(folder)).includes(path)) return load(join(folder, `${path}.ts`));
  throw new HyperError("not_found", `no function ${path}`);
}

export async function loadFunctions(folder = FUNCTIONS): Promise<Loaded[]> {
  return Promise.all(
    (await functionPaths(folder)).map(async (path) => {
      try {
        return { path, function: await load(join(folder, `${path}.ts`)) };
      } catch (error) {
        return { path, error: error as Error };
      }
    }),
  );
}

async function load(file: string): Promise<HyperFunction> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("still loading after 10 s")), LOAD_TIMEOUT_MS);
  });
  const loading = import(pathToFileURL(file).href).catch((error) => {
    throw withPlace(error);
  });
  const module = await Promise.race([loading, late]).finally(() => clearTimeout(timer));
  const exported = module.default as HyperFunction | undefined;
  if (typeof exported !== "function" || !exported.spec || !exported.fetch) {
    throw new Error("its default export is not made by defineFunction");
  }
  return exported;
}

/** An error of Bun's parser has its place beside its message, and the log cannot write it. */
function withPlace(error: unknown): unknown {
  const first = error instanceof AggregateError ? error.errors[0] : error;
  if (!(first instanceof BuildMessage) || !first.position) return error;
  const { file, line, column } = first.position;
  return new Error(`${file}:${line}:${column}: ${first.message}`);
}
