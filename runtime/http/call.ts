/** One call over HTTP, from its arrival to its answer. */
import type { Context } from "hono";
import type { Caller } from "../access/caller.ts";
import type { DomainRights } from "../access/domain-rights.ts";
import type { Declaration } from "../access/domain-scope.ts";
import type { BytesIn } from "../core/bytes.ts";
import { type Logger, log, logOf } from "../core/log.ts";
import { methodsOf } from "../core/method.ts";
import { settings } from "../core/settings.ts";
import type { BrowserSession } from "./browser-session.ts";
import type { Arrival } from "./peer.ts";

/** The bindings of a request in our Hono applications. */
export interface Env {
  Bindings: {
    /** Undefined for a request that this process has made itself. */
    arrival?: Arrival | undefined;
    /** Fields of the input that the path of an alias has given. */
    fields?: Record<string, string> | undefined;
    call: Call;
  };
}

export class Call {
  /** The ID in the answer's `X-Request-Id`, in the audit log and in every log line of this call. */
  readonly id: string;
  readonly log: Logger;
  /** Undefined for a request that this process has made itself. */
  readonly arrival: Arrival | undefined;
  /** The function's path, or the request's at a path that has none. */
  readonly path: string;
  /** The declaration of the function; undefined at a path that has none. */
  readonly spec: Declaration | undefined;
  readonly method: string;
  readonly time = new Date();
  readonly began = performance.now();
  /** The hypervisor that the call names; undefined for the default one. */
  readonly requestedHost: string | undefined;
  /** `requestedHost`, else the default one. */
  readonly host: string;
  /** The configuration in force, for all steps of the call. */
  readonly settings = settings();
  readonly #abort = new AbortController();
  /** Aborted when the client disconnects, and when the server ends and waits no longer. */
  readonly signal = this.#abort.signal;
  /** The client's address, once it is known. */
  address = "";
  /** Undefined until the call is authenticated. */
  caller: Caller | undefined;
  /** Which domains are the caller's: none until the call is authorised. */
  rights: DomainRights = {
    sees: () => false,
    lookUp: async () => {},
    checkAgain: async () => {},
    haveChanged: async () => false,
  };
  /** Whose limits the call counts for; "" for a request that this process has made itself. */
  holder = "";
  /** The browser's session, for a function that anybody may call. */
  session: BrowserSession | undefined;
  /** The validated input, and the function's answer. */
  input: unknown = null;
  data: unknown;
  /** The bytes that the call brings. */
  body: BytesIn | undefined;
  /** Resolves when all bytes of the answer are on their way, to what has cut them off. */
  sending: Promise<Error | undefined> | undefined;

  constructor(c: Context, arrival: Arrival | undefined, spec?: Declaration) {
    const { raw, method } = c.req;
    this.id = requestId(c);
    this.log = arrival ? logOf(this.id) : log;
    this.arrival = arrival;
    this.path = arrival?.path || c.req.path;
    this.spec = spec;
    this.method = method;
    this.requestedHost = c.req.query("host") ?? c.req.header("X-Hypervisor");
    this.host = this.requestedHost ?? this.settings.default_host;
    if (raw.signal.aborted) this.abort();
    raw.signal.addEventListener("abort", () => this.abort(), { once: true });
  }

  abort() {
    this.#abort.abort();
  }

  /** Whether the call changes something: then it stands in the audit log. */
  get changes(): boolean {
    const { spec, method } = this;
    return (
      spec !== undefined && spec.access !== "read" && methodsOf(spec).some((one) => one === method)
    );
  }
}

/** The request ID that a proxy has given, or a new one. */
function requestId(c: Context): string {
  const given = c.req.header("X-Request-Id") ?? "";
  return /^[\w=-]{1,255}$/.test(given) ? given : crypto.randomUUID();
}
