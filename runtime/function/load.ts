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

/**
 * A file that is still loading (top-level await) so long after the last other one counts as failed. On a busy machine
 * the rooms that all files share take more than ten seconds.
 */
const LOAD_TIMEOUT_MS = 60_000;

/** The paths of all function files, such as `/libvirt/networks`. */
export async function functionPaths(folder = FUNCTIONS): Promise<string[]> {
  const files = await readdir(folder, { recursive: true });
  return files
    .filter((name) => name.endsWith(".ts"))
    .sort()
    .map((name) => `/${name.slice(0, -".ts".length)}`);
}

/** Functions of files that have loaded: a job asks for its own each time it runs. */
const loaded = new Map<string, HyperFunction>();

/** One function, without the others. Throws `not_found`, or why it does not load. */
export async function loadFunction(path: string, folder = FUNCTIONS): Promise<HyperFunction> {
  const known = loaded.get(join(folder, `${path}.ts`));
  const isPlain = join("/", path) === path; // rights are checked by the path, so a function has one only
  if (known && isPlain) return known;
  if (!(await functionPaths(folder)).includes(path))
    throw new HyperError("not_found", `no function ${path}`);
  const deadline = startDeadline(LOAD_TIMEOUT_MS);
  return load(join(folder, `${path}.ts`), deadline).finally(deadline.end);
}

export async function loadFunctions(
  folder = FUNCTIONS,
  timeout = LOAD_TIMEOUT_MS,
): Promise<Loaded[]> {
  const deadline = startDeadline(timeout);
  const loading = (await functionPaths(folder)).map(async (path) => {
    try {
      return { path, function: await load(join(folder, `${path}.ts`), deadline) };
    } catch (error) {
      return { path, error: error as Error };
    } finally {
      deadline.renew();
    }
  });
  return Promise.all(loading).finally(deadline.end);
}

/** Files that load together share it: while others arrive, the machine is slow, and the file need not hang. */
function startDeadline(timeout: number) {
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => {}); // where all have loaded, nothing waits for it
  const late = () => reject(new Error(`still loading after ${timeout / 1000} s`));
  const timer = setTimeout(late, timeout);
  return { missed: promise, renew: () => timer.refresh(), end: () => clearTimeout(timer) };
}

async function load(file: string, deadline: { missed: Promise<never> }): Promise<HyperFunction> {
  const loading = import(pathToFileURL(file).href).catch((error) => {
    throw withPlace(error);
  });
  const module = await Promise.race([loading, deadline.missed]);
  const exported = module.default as HyperFunction | undefined;
  if (typeof exported !== "function" || !exported.spec || !exported.fetch) {
    throw new Error("its default export is not made by defineFunction");
  }
  loaded.set(file, exported);
  return exported;
}

/** An error of Bun's parser has its place beside its message, and the log cannot write it. */
function withPlace(error: unknown): unknown {
  const first = error instanceof AggregateError ? error.errors[0] : error;
  if (!(first instanceof BuildMessage) || !first.position) return error;
  const { file, line, column } = first.position;
  return new Error(`${file}:${line}:${column}: ${first.message}`);
}
