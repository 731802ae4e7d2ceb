/** Mounts every function at its path: `functions/libvirt/networks.ts` is `/libvirt/networks`. */
import { Hono } from "hono/tiny";
import { getPath } from "hono/utils/url";
import { HyperError } from "../core/errors.ts";
import { log } from "../core/log.ts";
import type { HyperFunction } from "../function/define.ts";
import type { Loaded } from "../function/load.ts";
import { admission, type Env } from "../http/admission.ts";
import { failure } from "../http/envelope.ts";

export interface Router {
  /** Without an arrival, the request is one that this process has made itself. */
  fetch(request: Request, env?: Env["Bindings"]): Response | Promise<Response>;
}

/** The whole API as one fetch: a function has one path, and Hono answers at all others. */
export function createRouter(functions: Loaded[]): Router {
  const mounted = new Map<string, HyperFunction>();
  const broken = new Set<string>();
  for (const { path, function: loaded, error } of functions) {
    if (error) log.error({ path, error }, `${path} did not load`);
    if (loaded) mounted.set(path, loaded);
    else broken.add(path);
  }
  let others: Hono<Env> | undefined;
  return {
    fetch(request, env = {}) {
      const path = getPath(request);
      const found = mounted.get(path);
      if (!found) {
        others ??= elsewhere(broken);
        return others.fetch(request, env);
      }
      return found.fetch(request, env.arrival && { server: env.arrival.server, path });
    },
  };
}

/** What is said at paths that have no function, or one that did not load. */
function elsewhere(broken: Set<string>): Hono<Env> {
  const app = new Hono<Env>();
  app.onError(failure);
  app.use(admission());
  app.notFound((c) => {
    const { path } = c.req;
    throw broken.has(path)
      ? new HyperError("function_unavailable", `${path} did not load; the server's log says why`)
      : new HyperError("not_found", `no endpoint ${path}; GET /capabilities lists them`);
  });
  return app;
}
