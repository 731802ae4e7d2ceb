/** What stands before every function, and before what is no function: who calls, from where, how often. */
import type { Context, MiddlewareHandler, Next } from "hono";
import { checkCall } from "../access/caller.ts";
import type { Described } from "../access/domain-scope.ts";
import { atOnce } from "../core/at-once.ts";
import { HyperError } from "../core/errors.ts";
import { settings } from "../core/settings.ts";
import { checkAudit } from "./audit.ts";
import { identify } from "./authenticate.ts";
import { Call } from "./call.ts";
import { failure } from "./envelope.ts";
import { begin, end } from "./in-flight.ts";
import { countCall } from "./limits.ts";
import { crossOrigin } from "./origin.ts";
import { type Arrival, clientAddress, type Peer, peerOf } from "./peer.ts";

/** What a Hono application of ours is given with a request, and keeps with it. */
export interface Env {
  Bindings: { arrival?: Arrival | undefined; call?: Call };
}

/**
 * The outermost step of every answer, of one function's or, without one, of paths that have none: whatever comes
 * of it is on record. A request that did not come to a server was made by code of this process, which could do
 * without us whatever it asks for: it is not held up.
 */
export function admission(callee?: Described): MiddlewareHandler<Env> {
  return async (c, next) => {
    const at = c.env?.arrival;
    if (!at) return next();
    const call = new Call(c, requestId(c), at.path ? at : { ...at, path: c.req.path }, callee);
    c.env.call = call;
    begin(call);
    try {
      try {
        await admit(c, call, next);
      } catch (error) {
        c.error = call.caller ? (error as Error) : refused(call, error as Error);
        c.res = failure(c.error, c);
      }
      c.res.headers.set("X-Request-Id", call.id);
      call.answered(c.res.status, c.error);
    } finally {
      end(call);
    }
  };
}

function admit(c: Context<Env>, call: Call, next: Next): unknown {
  const peer = peerOf(c.req.raw, call.arrival);
  if (!peer) throw new HyperError("cancelled", "the client disconnected");
  call.address = clientAddress(c.req.raw, peer);
  checkHeaders(c);
  checkPlain(call.arrival, peer);
  const cors = crossOrigin(c);
  if (!cors) return enter(c, call, peer, next);
  const preflight = cors(c, async () => enter(c, call, peer, next));
  return preflight.then((answer) => {
    if (answer) c.res = answer;
  });
}

function enter(c: Context<Env>, call: Call, peer: Peer, next: Next): Promise<void> {
  return atOnce(identify(c, call.arrival, peer), (caller) => {
    countCall(`${caller.kind} ${caller.kind === "socket" ? call.address : caller.name}`);
    call.caller = caller;
    const { callee, arrival } = call;
    if (callee) checkCall(caller, arrival.path, callee.access);
    if (callee && callee.access !== "read") checkAudit();
    return next();
  });
}

/** A proxy's own, or a new one. */
function requestId(c: Context): string {
  const given = c.req.header("X-Request-Id") ?? "";
  return /^[\w=-]{1,255}$/.test(given) ? given : crypto.randomUUID();
}

/** Nobody answers for a call that was not let in: it is counted by its address. Returns what is wrong with it. */
function refused({ address }: Call, error: Error): Error {
  if (error instanceof HyperError && error.code === "rate_limited") return error; // counted already
  try {
    countCall(`address ${address}`);
    return error;
  } catch (limited) {
    return limited as Error;
  }
}

/** Bun itself ends what has more than 16 KB, without a word of ours. */
function checkHeaders(c: Context) {
  const { max_headers } = settings().limits;
  let size = c.req.raw.url.length;
  c.req.raw.headers.forEach((value, name) => {
    size += name.length + value.length + 4;
  });
  if (size <= max_headers) return;
  throw new HyperError("headers_too_large", `URL and headers: at most ${max_headers} bytes`);
}

/** Behind a proxy that does the TLS, nobody else may come without. */
function checkPlain({ server }: Arrival, { address, loopback, proxy }: Peer) {
  if (settings().access.proxies.length === 0 || server.protocol === "https") return;
  if (address === undefined || loopback || proxy) return;
  const text = "without TLS only the configured proxies may connect";
  throw new HyperError("forbidden", text, { details: { missing: "proxy" } });
}
