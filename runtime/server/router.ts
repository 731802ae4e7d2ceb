/** Mounts every function at its path: `functions/libvirt/networks.ts` is `/libvirt/networks`. */
import { Hono } from "hono";
import { HyperError } from "../core/errors.ts";
import { log } from "../core/log.ts";
import type { Loaded } from "../function/load.ts";
import { admission } from "../http/admission.ts";
import type { Env } from "../http/call.ts";
import { failure } from "../http/envelope.ts";
import type { Arrival } from "../http/peer.ts";

export interface Router {
  /** A request without an arrival is one that this process has made itself. */
  fetch(request: Request, env?: { arrival?: Arrival | undefined }): Response | Promise<Response>;
}

/** The whole API as one fetch. A function that does not load answers 503 at its path alone. */
export function createRouter(functions: Loaded[]): Router {
  const app = new Hono<Env>();
  app.onError(failure);
  for (const { path, function: loaded, error } of functions) {
    if (loaded) {
      app.all(path, (c) => loaded.fetch(c.req.raw, c.env.arrival && { ...c.env.arrival, path }));
      continue;
    }
    log.error({ path, error }, `${path} did not load`);
    app.all(path, admission(), () => {
      const text = `${path} did not load; the server's log says why`;
      throw new HyperError("function_unavailable", text);
    });
  }
  app.all("*", admission(), (c) => {
    const text = `no endpoint ${c.req.path}; GET /capabilities lists them`;
    throw new HyperError("not_found", text);
  });
  return { fetch: (request, env = {}) => app.fetch(request, env) };
}
