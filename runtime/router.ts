/** Loads every function file and mounts it at its path: `functions/libvirt/networks.ts` is `/libvirt/networks`. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Hono } from "hono";
import { failure } from "./envelope.ts";
import { HyperError } from "./errors.ts";
import type { HyperFunction } from "./function.ts";
import { log } from "./log.ts";

export const FUNCTIONS = join(import.meta.dirname, "../functions");

/** A function file: what it exports, or why it does not load. */
export interface Loaded {
  path: string;
  function?: HyperFunction;
  error?: Error;
}

/** Milliseconds until a file that is still loading (top-level await) counts as failed. */
const LOAD_TIMEOUT = 10_000;

export async function loadFunctions(folder = FUNCTIONS): Promise<Loaded[]> {
  const files = (await readdir(folder, { recursive: true }))
    .filter((name) => name.endsWith(".ts"))
    .sort();
  return Promise.all(
    files.map(async (name) => {
      const path = `/${name.slice(0, -".ts".length)}`;
      try {
        return { path, function: await load(join(folder, name)) };
      } catch (error) {
        return { path, error: error as Error };
      }
    }),
  );
}

async function load(file: string): Promise<HyperFunction> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("still loading after 10 s")), LOAD_TIMEOUT);
  });
  const module = await Promise.race([import(pathToFileURL(file).href), late]);
  clearTimeout(timer);
  const found = module.default as HyperFunction | undefined;
  if (typeof found !== "function" || !found.spec || !found.fetch) {
    throw new Error("its default export is not made by defineFunction");
  }
  return found;
}

/** The whole API as one fetch. */
export function createRouter(functions: Loaded[]): Hono {
  const app = new Hono();
  app.onError(failure);
  app.notFound((c) => {
    const text = `no endpoint ${c.req.path}; GET /capabilities lists them`;
    return failure(new HyperError("not_found", text), c);
  });
  for (const { path, function: mounted, error } of functions) {
    if (error) log.error({ path, error }, `${path} did not load`);
    app.all(path, (c) => {
      if (mounted) return mounted.fetch(c.req.raw);
      throw new HyperError(
        "function_unavailable",
        `${path} did not load; the server's log says why`,
      );
    });
  }
  return app;
}
