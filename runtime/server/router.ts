/** Mounts every function at its path: `functions/libvirt/networks.ts` is `/libvirt/networks`. */
import type { Handler } from "hono";
import { Hono } from "hono/tiny";
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

/** More functions need Hono's larger routers, which take the first answer 2 ms; `hono/tiny` tries path by path. */
const MAX_FUNCTIONS_OF_TINY = 8;

function createApp(functions: Loaded[]): Hono<Env> {
  const aliased = functions.some((one) => one.function?.spec.alias !== undefined);
  if (functions.length <= MAX_FUNCTIONS_OF_TINY && !aliased) return new Hono<Env>();
  const { Hono: LargerHono } = require("hono") as typeof import("hono");
  return new LargerHono<Env>();
}

/** The whole API as one fetch. The path of a file wins over every alias. A function that does not load answers 503 at its path alone. */
export function createRouter(functions: Loaded[]): Router {
  const app = createApp(functions);
  app.onError(failure);
  for (const { path, function: loaded, error } of functions) {
    // hono/tiny finds /hello for /hello/, too
    const exact =
      (handler: Handler<Env>): Handler<Env> =>
      (c, next) =>
        c.req.path === path ? handler(c, next) : next();
    if (loaded) {
      const fetch: Handler<Env> = ({ req, env: { arrival } }) =>
        loaded.fetch(req.raw, arrival && { ...arrival, path });
      app.all(path, exact(fetch));
      continue;
    }
    log.error({ path, error }, `${path} did not load`);
    const refuse = () => {
      const text = `${path} did not load; the server's log says why`;
      throw new HyperError("function_unavailable", text);
    };
    app.all(path, exact(admission()), exact(refuse));
  }
  for (const { path, function: loaded } of functions) {
    if (!loaded?.spec.alias) continue;
    app.all(loaded.spec.alias, (c) => {
      const arrival = c.env.arrival && { ...c.env.arrival, path };
      const id = c.req.param("id");
      return loaded.fetch(c.req.raw, arrival, id === undefined ? {} : { id });
    });
  }
  app.all("*", admission(), (c) => {
    const text = `no endpoint ${c.req.path}; GET /capabilities lists them`;
    throw new HyperError("not_found", text);
  });
  return { fetch: (request, env = {}) => app.fetch(request, env) };
}
