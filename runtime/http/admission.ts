/** Admission of every request, unknown paths included: where it comes from, who calls, and how often. */
import type { Context, MiddlewareHandler, Next } from "hono";
import { ANYBODY, type Caller, checkCall, PROCESS } from "../access/caller.ts";
import type { Declaration } from "../access/domain-scope.ts";
import { HyperError } from "../core/errors.ts";
import { checkAudit } from "./audit.ts";
import { authenticate, tokenHolder } from "./authenticate.ts";
import { browserSession, isSecure } from "./browser-session.ts";
import { Call, type Env } from "./call.ts";
import { failure } from "./envelope.ts";
import { callAnswered, callsInFlight } from "./in-flight.ts";
import { countCall } from "./limits.ts";
import { crossOrigin } from "./origin.ts";
import { type Arrival, clientAddress, type Peer, peerOf } from "./peer.ts";
import { reportAnswer } from "./report.ts";
import { ticketHolder } from "./ticket-holder.ts";

/**
 * The outermost step of every answer, so that whatever comes of a request is on record. A request without an
 * arrival was made by code of this process, which could do without the server: it is admitted as it is.
 */
export function admission(spec?: Declaration): MiddlewareHandler<Env> {
  return async (c, next) => {
    const { arrival } = c.env;
    if (!arrival) return admitProcess(c, next, spec);
    const call = new Call(c, arrival, spec);
    c.env.call = call;
    callsInFlight.add(call);
    try {
      await admit(c, call, arrival, next);
    } catch (error) {
      c.error = call.caller ? (error as Error) : refused(call, error as Error);
      c.res = failure(c.error, c);
    } finally {
      c.res.headers.set("X-Request-Id", call.id);
      if (call.sending) call.sending.then((error) => over(call, c.res.status, error));
      else over(call, c.res.status, c.error);
    }
  };
}

function over(call: Call, status: number, error?: Error) {
  reportAnswer(call, status, error);
  callAnswered(call);
}

function admitProcess(c: Context<Env>, next: Next, spec: Declaration | undefined) {
  const call = new Call(c, undefined, spec);
  call.caller = PROCESS;
  c.env.call = call;
  return next();
}

/** Refuses a caller who is unknown, calls too often, or may not call the function. */
async function admit(c: Context<Env>, call: Call, arrival: Arrival, next: Next) {
  const { spec, path, settings } = call;
  const { proxies } = settings.access;
  const peer = peerOf(c.req.raw, arrival, proxies);
  if (!peer) throw new HyperError("cancelled", "the client disconnected");
  call.address = clientAddress(c.req.raw, peer, proxies);
  checkHeaders(c, settings.limits.max_headers);
  if (proxies.length > 0) checkPlain(arrival, peer);
  // a console connects by itself and takes the keys: another site's link to it needs a ticket
  const mayFollow = !spec?.upgrade || c.req.query("ticket") !== undefined;
  const allowPage = crossOrigin(c, settings.cors.origins, mayFollow);
  const preflight = await allowPage?.(c, async () => {});
  if (preflight) {
    c.res = preflight;
    return;
  }
  const caller = spec?.anybody
    ? anybody(c, call, arrival, peer)
    : ((await ticketHolder(c, call)) ?? (await authenticate(c, settings.access, arrival, peer)));
  const isAlone = caller.kind !== "socket" && caller !== ANYBODY;
  const source = isAlone ? caller.name : call.address;
  call.holder = `${caller.kind} ${source}`;
  countCall(call.holder, settings.limits.rate);
  call.caller = caller;
  if (spec && !spec.anybody) checkCall(caller, path, spec.access);
  if (spec && spec.access !== "read") checkAudit();
  await next();
}

/** Seconds without a byte of the body. */
const ANYBODY_TIMEOUT = 30;

/** Whoever it is may begin a session of their browser, or end it. */
function anybody(c: Context<Env>, call: Call, arrival: Arrival, peer: Peer): Caller {
  const authenticateToken = (token: string) => tokenHolder(c, call.settings.access, token);
  arrival.server.timeout?.(c.req.raw, ANYBODY_TIMEOUT); // nobody who is not known may hold a connection
  call.session = browserSession(c, call, authenticateToken, isSecure(c, arrival, peer));
  return ANYBODY;
}

/** A rejected call has no caller yet, so its address is rate-limited. Returns what is wrong with the call. */
function refused({ address, settings }: Call, error: Error): Error {
  if (error instanceof HyperError && error.code === "rate_limited") return error; // counted already
  try {
    countCall(`address ${address}`, settings.limits.rate);
    return error;
  } catch (limited) {
    return limited as Error;
  }
}

/** Bun itself refuses more than 16 KB, with an answer that has no body. */
function checkHeaders(c: Context, max_headers: number) {
  let size = c.req.raw.url.length;
  c.req.raw.headers.forEach((value, name) => {
    size += name.length + value.length + 4;
  });
  if (size <= max_headers) return;
  throw new HyperError("headers_too_large", `URL and headers: at most ${max_headers} bytes`);
}

/** Where a proxy does the TLS, only the proxy and this machine may connect without TLS. */
function checkPlain({ server }: Arrival, { address, loopback, proxy }: Peer) {
  if (server.protocol === "https") return;
  if (address === undefined || loopback || proxy) return;
  const text = "without TLS only the configured proxies may connect";
  throw new HyperError("forbidden", text, { details: { missing: "proxy" } });
}
