/**
 * The life of a request: admit → validate → authorise → execute (on one hypervisor, or on each) → answer.
 * The first three steps are in admission.ts, validation.ts and authorise.ts.
 */
import type { Context } from "hono";
import { Hono } from "hono/tiny";
import { type Declaration, ownPart } from "../access/domain-scope.ts";
import { isBytesOut } from "../core/bytes.ts";
import { HyperError } from "../core/errors.ts";
import { methodsOf } from "../core/method.ts";
import type { SocketEnd } from "../core/socket.ts";
import { eventShape, isEvents, mapEvents } from "../core/stream.ts";
import type { CallScope, ContextOptions } from "../hypervisor/context.ts";
import { admission } from "./admission.ts";
import { authorise, enter, lookUp } from "./authorise.ts";
import { inBackground } from "./background.ts";
import { sentBytes } from "./bytes-out.ts";
import type { Call, Env } from "./call.ts";
import { failure, success, successBody } from "./envelope.ts";
import { isOfAll, onEach, oneOnly } from "./fleet.ts";
import { Admission } from "./limits.ts";
import { checkSocket, closedAtOnce, isUpgrade, upgraded } from "./socket.ts";
import { checkRoom, streamed } from "./stream.ts";
import { validation } from "./validation.ts";

/** The statuses of success. */
export type Status = 200 | 201 | 202;

/** The part of a function's declaration that the pipeline needs (function/define.ts explains each field). */
export interface Answered extends Declaration {
  status?: Status;
  headers?: (data: never, input: never) => Record<string, string>;
  message: string | null | ((data: never, input: never) => string);
  media?: string;
  job?: { reads?: string[] };
}

/** Runs the function on one hypervisor; resolves to its checked answer. */
type Run = (input: object, options: ContextOptions, scope: CallScope) => Promise<unknown>;

/** Connects a WebSocket to the guest. */
export type Connect = (
  input: object,
  options: ContextOptions,
  scope: CallScope,
) => Promise<SocketEnd>;

export function pipeline(spec: Answered, run: Run, connect?: Connect): Hono<Env> {
  const app = new Hono<Env>();
  app.onError(failure);
  app.use(admission(spec));
  const streaming = asStream(spec);
  for (const method of methodsOf(spec)) {
    for (const step of validation(spec, method)) app.on(method, "*", step);
    app.on(method, "*", async (c) => {
      const { call } = c.env;
      if (connect && isUpgrade(c)) return openSocket(c, spec, connect);
      const about = eventShape(spec, call.input as object) ? streaming : spec;
      const hosts = await authorise(call, about);
      return inBackground(c, spec, async () => {
        if (about === streaming) checkRoom(call);
        const data = await execute(call, about, hosts, run);
        if (isBytesOut(data)) return sentBytes(c, data);
        return isEvents(data) ? streamed(c, data) : answer(c, spec, data, hosts);
      });
    });
  }
  app.all("*", refuseMethod(spec));
  return app;
}

/** The declaration of a call that asks for a stream; the output is the shape of its events' data. */
function asStream(spec: Answered): Answered {
  const { stream } = spec;
  return typeof stream === "object"
    ? { ...spec, stream: "sse", output: stream.events }
    : { ...spec };
}

/** Calls the function once: for its hypervisor, for each of several, or, of scope "fleet", for all of them. */
async function execute(call: Call, spec: Answered, hosts: string[] | undefined, run: Run) {
  if (!hosts || spec.scope === "fleet") {
    return executeOn(call, spec, hosts?.[0] ?? call.host, hosts ?? call.requestedHost, run);
  }
  return onEach(hosts, (host) => executeOn(call, spec, host, host, run), call.log);
}

/** The call begins when the hypervisor has a place for it, and shows a limited caller only their own domains. */
async function executeOn(
  call: Call,
  spec: Answered,
  host: string,
  requestedHosts: string[] | string | undefined,
  run: Run,
) {
  const { caller, signal, log, input, body, session } = call;
  const kind = spec.access === "read" ? "read" : "change";
  const places = call.arrival && new Admission(kind, signal);
  try {
    // a function for all hypervisors, or for a list, asks each through ctx.forHost
    const ofMany = Array.isArray(requestedHosts) || (requestedHosts === undefined && isOfAll(spec));
    if (spec.scope !== "server" && !ofMany) await enter(call, places, host);
    const { rights } = call; // a call on several replaces them for each
    if (caller?.select !== undefined && !isOfAll(spec)) await lookUp(call, spec, host);
    const options = { host, signal, log, body };
    const admit = async (alias: string) => places?.enter(alias);
    const scope = { caller, rights, requestedHosts, admit, session };
    const data = await run(input as object, options, scope);
    call.data = data;
    if (isBytesOut(data)) return data;
    const own = (one: unknown) => ownPart(caller, rights, spec, one, host);
    return isEvents(data) ? mapEvents(data, own) : own(data);
  } finally {
    places?.leave();
  }
}

/** Connects the function to the guest first, so that a failure is an answer like any other. */
async function openSocket(c: Context<Env>, spec: Answered, connect: Connect): Promise<Response> {
  const { call } = c.env;
  const { caller, host, input, log, signal } = call;
  if (await authorise(call, spec)) throw oneOnly(spec);
  const headers = checkSocket(c);
  const abort = new AbortController();
  const places = new Admission("read", signal);
  const giveUp = () => abort.abort();
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    await enter(call, places, host);
    if (caller?.select !== undefined) await lookUp(call, spec, host);
    const options = { host, signal: abort.signal, log };
    const end = await connect(input as object, options, { caller, rights: call.rights });
    try {
      checkSocket(c); // others have opened meanwhile
    } catch (error) {
      end.close();
      throw error;
    }
    return upgraded(c, end, { abort: giveUp, headers });
  } catch (error) {
    giveUp();
    // a browser hides the answer that refuses a WebSocket from its page, but not how one was closed
    if (!c.req.header("Origin") || !(error instanceof HyperError)) throw error;
    return upgraded(c, closedAtOnce(error), { abort: giveUp, headers, isRefused: true });
  } finally {
    signal.removeEventListener("abort", giveUp);
    places.leave();
  }
}

/** No other site shows a page of this server within its own, and no browser guesses its type. */
const UNFRAMED = { "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff" };

function answer(c: Context<Env>, spec: Answered, data: unknown, hosts: string[] | undefined) {
  const { status = 200, headers, media, scope } = spec;
  if (hosts && scope !== "fleet") {
    const { successful, total } = data as { successful: number; total: number };
    return c.json(success(`${successful} of ${total} hypervisors answered`, data));
  }
  const { input } = c.env.call;
  for (const [name, value] of Object.entries(headers?.(data as never, input as never) ?? {}))
    c.header(name, value);
  if (media && data instanceof Uint8Array && wantsJson(c.req.header("Accept"), media)) {
    const base64 = Buffer.from(data).toString("base64");
    return c.json(success(`${data.length} bytes of ${media}`, { media, base64 }), status);
  }
  if (media) {
    const content = data instanceof Uint8Array ? (data as Uint8Array<ArrayBuffer>) : `${data}`;
    return c.body(content, status, { "Content-Type": media, ...UNFRAMED });
  }
  return c.json(successBody(spec, input, data), status);
}

/** Bytes as JSON, for clients that take nothing else. */
const wantsJson = (accept = "", media: string) =>
  accept.includes("application/json") && !accept.includes(media);

function refuseMethod(spec: Declaration) {
  const methods = methodsOf(spec);
  const allow = methods.flatMap((one) => (one === "GET" ? ["GET", "HEAD"] : [one])).join(", ");
  return (c: Context): never => {
    c.header("Allow", allow);
    throw new HyperError(
      "method_not_allowed",
      `${c.req.method} is not allowed here; use ${methods.join(" or ")}`,
    );
  };
}
