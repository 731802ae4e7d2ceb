/**
 * The life of a request: admit → validate → authorise → execute (on one hypervisor, or on each) → answer.
 * The first two steps are in admission.ts and validation.ts.
 */
import type { Context } from "hono";
import { Hono } from "hono/tiny";
import { checkHost, mayUse } from "../access/caller.ts";
import { checkDomains, type Declaration, filterDomains } from "../access/domain-scope.ts";
import { HyperError } from "../core/errors.ts";
import { uriOf } from "../core/settings.ts";
import type { CallScope, ContextOptions } from "../hypervisor/context.ts";
import { admission } from "./admission.ts";
import type { Call, Env } from "./call.ts";
import { failure, success } from "./envelope.ts";
import { onEach, oneHypervisorOnly, severalHosts } from "./fleet.ts";
import { Admission } from "./limits.ts";
import { validation } from "./validation.ts";

/** The part of a function's declaration that the pipeline needs (function/define.ts explains each field). */
export interface Answered extends Declaration {
  status?: 200 | 201;
  message: string | null | ((data: never, input: never) => string);
  media?: string;
}

/** Runs the function on one hypervisor; resolves to its checked answer. */
type Run = (input: object, options: ContextOptions, scope: CallScope) => Promise<unknown>;

export function pipeline(spec: Answered, run: Run): Hono<Env> {
  const app = new Hono<Env>();
  app.onError(failure);
  app.use(admission(spec));
  for (const step of validation(spec)) app.on(spec.method, "*", step);
  app.on(spec.method, "*", async (c) => {
    const { call } = c.env;
    call.input = c.req.valid((spec.method === "GET" ? "query" : "json") as never);
    const hosts = authorise(call, spec);
    const data = await execute(call, spec, hosts, run);
    return answer(c, spec, data, hosts);
  });
  app.all("*", refuseMethod(spec));
  return app;
}

/**
 * Throws `forbidden` where the caller may not use the hypervisor or touch a domain of the input. Returns the
 * hypervisors of a call that names several, as far as the caller may use them.
 */
function authorise({ caller, path, requestedHost, host, input, settings }: Call, spec: Answered) {
  if (!caller) throw new Error("a call that was not admitted");
  const about = requestedHost !== undefined || spec.scope !== "server";
  const named = !about || requestedHost === "*" ? [] : host.split(",").map((alias) => alias.trim());
  for (const alias of named) checkHost(caller, alias);
  checkDomains(caller, path, spec, input as object);
  if (requestedHost === undefined) return undefined;
  const several = spec.scope === "server" ? undefined : severalHosts(requestedHost, settings);
  if (!several)
    uriOf(host); // an unknown alias is refused before it takes a place
  else if (spec.method === "POST") throw oneHypervisorOnly();
  return several?.filter((alias) => mayUse(caller, alias));
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
  const { caller, signal, log, input } = call;
  const kind = spec.access === "read" ? "read" : "change";
  const places = call.arrival && new Admission(kind, signal);
  try {
    // a function for the whole server, or for a list, asks each hypervisor through ctx.forHost
    if (spec.scope !== "server" && !Array.isArray(requestedHosts)) await places?.enter(host);
    const options = { host, signal, log };
    const admit = async (alias: string) => places?.enter(alias);
    const data = await run(input as object, options, { caller, requestedHosts, admit });
    call.data = data;
    return caller ? filterDomains(caller, spec, data) : data;
  } finally {
    places?.leave();
  }
}

/** No other site shows a page of this server within its own, and no browser guesses its type. */
const UNFRAMED = { "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff" };

function answer(c: Context<Env>, spec: Answered, data: unknown, hosts: string[] | undefined) {
  const { status = 200, message, media, scope } = spec;
  if (hosts && scope !== "fleet") {
    const { successful, total } = data as { successful: number; total: number };
    return c.json(success(`${successful} of ${total} hypervisors answered`, data));
  }
  if (media) return c.body(`${data}`, status, { "Content-Type": media, ...UNFRAMED });
  if (message === null) return c.json(data as object, status);
  const { input } = c.env.call;
  const text = typeof message === "string" ? message : message(data as never, input as never);
  return c.json(success(text, data), status);
}

function refuseMethod({ method }: Declaration) {
  return (c: Context): never => {
    c.header("Allow", method === "GET" ? "GET, HEAD" : "POST");
    throw new HyperError(
      "method_not_allowed",
      `${c.req.method} is not allowed here; use ${method}`,
    );
  };
}
