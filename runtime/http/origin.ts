/**
 * A page in somebody's browser has that person's place in the network, but not his will: where an address or
 * a user is enough to call, it could call too. Browsers say whose page asks, and under which name it found us.
 */
import type { Context, MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import { HyperError } from "../core/errors.ts";
import { settings } from "../core/settings.ts";
import { isLoopback } from "./peer.ts";

/** For pages of the configured origins; without such, no other origin's page reads an answer. */
const allowed = cors({
  origin: (origin) => origin,
  allowMethods: ["GET", "POST"],
  allowHeaders: ["Authorization", "Content-Type", "X-API-Key", "X-Hypervisor", "X-Request-Id"],
  exposeHeaders: ["Retry-After", "X-Request-Id"],
  maxAge: 600,
});

/** For a page that is allowed, what its answer needs; throws `forbidden` for another origin's. */
export function crossOrigin(c: Context): MiddlewareHandler | undefined {
  const origin = c.req.header("Origin");
  if (origin !== undefined && settings().cors.origins.includes(origin)) return allowed;
  const site = c.req.header("Sec-Fetch-Site");
  const ours = site ? site === "same-origin" || site === "none" || followed(c) : isOwn(c, origin);
  if (ours) return undefined;
  const text = `pages of ${origin ?? "other origins"} may not call this server; [cors] origins allows some`;
  throw new HyperError("forbidden", text, { details: { missing: "origin" } });
}

/** A link may lead here: the page that has it does not see what it opens. */
const followed = (c: Context) =>
  c.req.header("Sec-Fetch-Dest") === "document" && c.req.method === "GET";

const isOwn = (c: Context, origin: string | undefined) =>
  origin === undefined || origin.replace(/^https?:\/\//, "") === c.req.header("Host");

/** Nearly always that of the call before. */
let good = "";

/** A name that somebody else has made lead to this machine (DNS rebinding) is not one of these. */
export function checkHostHeader(c: Context) {
  const host = c.req.header("Host") ?? "";
  if (host && host === good) return;
  const [, name = ""] = /^(\[[\da-f:.]+\]|[\w.-]+)(?::\d{1,5})?$/i.exec(host) ?? [];
  if (name && isLoopback(name.replace(/^\[(.*)\]$/, "$1").toLowerCase())) {
    good = host;
    return;
  }
  const text = `the Host header ${JSON.stringify(host)} is not this machine's loopback address; call http://127.0.0.1 or http://localhost, or use a token`;
  throw new HyperError("forbidden", text, { details: { missing: "host header" } });
}
