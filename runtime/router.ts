/** Mounts every function at its path: `functions/libvirt/networks.ts` is `/libvirt/networks`. */
import { Hono } from "hono";
import { admission, type Env } from "./access/admit.ts";
import { failure } from "./envelope.ts";
import { HyperError } from "./errors.ts";
import type { Loaded } from "./functions.ts";
import { log } from "./log.ts";

/** The whole API as one fetch. */
export function createRouter(functions: Loaded[]): Hono<Env> {
  const app = new Hono<Env>();
  app.onError(failure);
  for (const { path, function: mounted, error } of functions) {
    if (error) log.error({ path, error }, `${path} did not load`);
    if (mounted) {
      app.all(path, (c) => mounted.fetch(c.req.raw, c.env?.arrival && { ...c.env.arrival, path }));
      continue;
    }
    app.use(path, ...admission());
    app.all(path, () => {
      throw new HyperError(
        "function_unavailable",
        `${path} did not load; the server's log says why`,
      );
    });
  }
  app.use(...admission());
  app.notFound((c) => {
    throw new HyperError("not_found", `no endpoint ${c.req.path}; GET /capabilities lists them`);
  });
  return app;
}
