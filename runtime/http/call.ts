/** One call over HTTP, from its arrival to its answer: its ID, its caller, its places, its lines in the logs. */
import type { Context } from "hono";
import { type Caller, checkHost, mayUse, said } from "../access/caller.ts";
import { checkDomains, type Described, filterDomains } from "../access/domain-scope.ts";
import { HyperError } from "../core/errors.ts";
import { type Logger, logOf } from "../core/log.ts";
import { settings } from "../core/settings.ts";
import { observer } from "../events/bus.ts";
import type { CallScope, ContextOptions } from "../hypervisor/context.ts";
import { audit, type Entry } from "./audit.ts";
import type { Running } from "./in-flight.ts";
import { Admission } from "./limits.ts";
import type { Arrival } from "./peer.ts";

type Run<T> = (options: ContextOptions, scope: CallScope) => Promise<T>;

export class Call implements Running {
  readonly id: string;
  readonly log: Logger;
  readonly arrival: Arrival;
  readonly callee: Described | undefined;
  /** Aborted when the caller goes away, and when the server ends and waits no longer. */
  readonly signal: AbortSignal;
  address = "";
  place = 0;
  /** Undefined until it is known who calls. */
  caller: Caller | undefined;
  host: string;
  /** What it was called with, once that is read; and what the function answered. */
  input: unknown = null;
  data: unknown;
  #method: string;
  #time = new Date();
  #began = performance.now();
  #abort = new AbortController();

  constructor(c: Context, id: string, arrival: Arrival, callee?: Described) {
    const { raw, method } = c.req;
    this.id = id;
    this.log = logOf(id);
    this.arrival = arrival;
    this.callee = callee;
    this.#method = method;
    this.host = c.req.query("host") ?? c.req.header("X-Hypervisor") ?? settings().default_host;
    this.signal = this.#abort.signal;
    if (raw.signal.aborted) this.abort();
    raw.signal.addEventListener("abort", () => this.abort(), { once: true });
  }

  abort() {
    this.#abort.abort();
  }

  get #by(): Caller {
    if (!this.caller) throw new Error("a call that was not admitted");
    return this.caller;
  }

  /** Throws `forbidden` where the caller may not have this function here, or about these domains. */
  check(spec: Described, input: object, host: string | undefined) {
    this.input = input;
    const hosts = host === undefined ? [settings().default_host] : host.split(",");
    const named = host === "*" || (host === undefined && spec.scope === "server") ? [] : hosts;
    for (const alias of named) checkHost(this.#by, alias.trim());
    checkDomains(this.#by, this.arrival.path, spec, input);
  }

  ofThese = (hosts: string[]) => hosts.filter((alias) => mayUse(this.#by, alias));

  /** Its work on one hypervisor, which begins there when there is a place. */
  async work<T>(spec: Described, host: string | undefined, run: Run<T>): Promise<T> {
    const visit = new Admission(spec.access === "read" ? "read" : "change", this.signal);
    const options = { signal: this.signal, log: this.log, ...(host !== undefined && { host }) };
    const admit = async (alias: string) => visit.enter(alias);
    try {
      if (spec.scope === undefined) await admit(host ?? settings().default_host);
      const data = await run(options, { caller: this.#by, admit });
      this.data = data;
      return filterDomains(this.#by, spec, data);
    } finally {
      visit.leave();
    }
  }

  /** It would be known only to those who know who calls. */
  get #changes(): boolean {
    const { callee } = this;
    return callee !== undefined && callee.access !== "read" && callee.method === this.#method;
  }

  answered(status: number, error?: Error) {
    const { code, message } =
      error instanceof HyperError ? error : { code: undefined, message: "" };
    const duration_ms = Math.round((performance.now() - this.#began) * 10) / 10;
    const { path } = this.arrival;
    observer.request?.(this.callee && path, status, duration_ms);
    const level = this.#changes || REFUSED.includes(status) ? "info" : "debug";
    if (level === "info" || this.log.level === "debug" || this.log.level === "trace") {
      const who = this.caller && said(this.caller);
      const [method, { host, address }] = [this.#method, this];
      const about = { method, path, host, status, code, ms: duration_ms, who, address };
      this.log[level](about, `${method} ${path} ${status}`);
    }
    if (!this.#changes || !this.caller) return;
    const refused = REFUSED.includes(status) || code === "audit_failed";
    const result = status < 400 ? "done" : refused ? "refused" : "failed";
    this.#audit({ result, status, ...(code && { code, error: message }), duration_ms });
  }

  recordUnknown() {
    if (!this.#changes || !this.caller) return;
    this.#audit({
      result: "unknown",
      status: null,
      duration_ms: Math.round(performance.now() - this.#began),
    });
  }

  #audit(outcome: Pick<Entry, "result" | "status" | "duration_ms"> & Partial<Entry>) {
    const { kind, name } = this.caller as Caller;
    const { successful, failed } = (this.data ?? {}) as { successful?: unknown; failed?: unknown };
    audit({
      time: this.#time.toISOString(),
      request_id: this.id,
      who: { kind, name },
      address: this.address,
      function: this.arrival.path,
      host: this.host,
      arguments: this.input,
      ...outcome,
      ...(typeof failed === "number" && { successful: Number(successful), failed }),
    });
  }
}

const REFUSED = [401, 403];
