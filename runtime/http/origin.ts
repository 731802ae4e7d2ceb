/**
 * CSRF and DNS-rebinding protection: a page in a user's browser calls from that user's address. Browsers tell
 * the page's origin, and the host name that it was found under.
 */
import type { Context, MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import { HyperError } from "../core/errors.ts";
import { METHODS } from "../core/method.ts";
import { isLoopback } from "./peer.ts";

/** For pages of the configured origins; without such, no other origin's page reads an answer. */
const allowed = cors({
  origin: (origin) => origin,
  allowMethods: [...METHODS],
  allowHeaders: [
    ...["Authorization", "Content-Type", "Idempotency-Key", "Prefer"],
    ...["X-API-Key", "X-Hypervisor", "X-Request-Id"],
  ],
  exposeHeaders: ["Location", "Retry-After", "X-Request-Id"],
  maxAge: 600,
});

/** The CORS step for a page of a configured origin; undefined for no page, or our own. Throws `forbidden` for others. */
export function crossOrigin(
  c: Context,
  origins: string[],
  mayFollow: boolean,
): MiddlewareHandler | undefined {
  const origin = c.req.header("Origin");
  if (origin !== undefined && origins.includes(origin)) return allowed;
  const site = c.req.header("Sec-Fetch-Site");
  const ours = site
    ? site === "same-origin" || site === "none" || (mayFollow && followed(c))
    : isOwn(c, origin);
  if (ours) return undefined;
  const text = `pages of ${origin ?? "other origins"} may not call this server; [cors] origins allows some`;
  throw new HyperError("forbidden", text, { details: { missing: "origin" } });
}

/** A link from another site is allowed: its page cannot read the answer. */
const followed = (c: Context) =>
  c.req.header("Sec-Fetch-Dest") === "document" && c.req.method === "GET";

/**
 * Throws `forbidden` unless a page of ours makes the request, or it only looks: a browser sends a cookie by itself,
 * also where no page has asked for it.
 */
export function checkOwnPage(c: Context) {
  const looks = ["GET", "HEAD"].includes(c.req.method) && c.req.header("Upgrade") === undefined;
  const [site, origin] = [c.req.header("Sec-Fetch-Site"), c.req.header("Origin")];
  const ours = site ? site === "same-origin" : origin !== undefined && isOwn(c, origin);
  if (looks || ours) return;
  const text = "a session changes things from this server's own page alone; use a token";
  throw new HyperError("forbidden", text, { details: { missing: "origin" } });
}

const isOwn = (c: Context, origin: string | undefined) =>
  origin === undefined || origin.replace(/^https?:\/\//, "") === c.req.header("Host");

/** Throws `forbidden` for a name that somebody else's DNS has made lead to this machine (DNS rebinding). */
export function checkHostHeader(c: Context) {
  const host = c.req.header("Host") ?? "";
  const [, name = ""] = /^(\[[\da-f:.]+\]|[\w.-]+)(?::\d{1,5})?$/i.exec(host) ?? [];
  if (name && isLoopback(name.replace(/^\[(.*)\]$/, "$1").toLowerCase())) return;
  const text = `the Host header ${JSON.stringify(host)} is not this machine's loopback address; call http://127.0.0.1 or http://localhost, or use a token`;
  throw new HyperError("forbidden", text, { details: { missing: "host header" } });
}
