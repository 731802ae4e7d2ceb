/**
 * A typed HTTP client: `createClient("https://kvm.example", { token })` calls a server as `connect` calls a
 * hypervisor. It needs nothing of the server's code, and works in Bun, Node and browsers.
 */

import { type ErrorCode, HyperError } from "../core/errors.ts";
import type { Call, CallOptions } from "./types.ts";

export type { Api, Call, CallOptions, Data, Endpoint, Input } from "./types.ts";
export { HyperError };

export interface ClientOptions {
  /** Sent as `Authorization: Bearer`. */
  token?: string | undefined;
  /** Alias of the hypervisor, unless a call names another; the server's default otherwise. */
  host?: string | undefined;
  /** Replaces the global `fetch`, for a proxy or client certificates. Node's own gives up after 5 minutes. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
}

/** An error answer: `code`, `status` and `details` are the server's. */
export class RemoteError extends HyperError {
  readonly #status: number;

  constructor(status: number, code: ErrorCode, message: string, details = {}) {
    super(code, message, { details });
    this.name = "RemoteError";
    this.#status = status;
  }

  override get status() {
    return this.#status;
  }
}

/** `url` is the prefix of the server's paths. Throws `invalid_input` for anything but an http or https URL. */
export function createClient(url: string, client: ClientOptions = {}): Call {
  if (!/^https?:/.test(url) || !URL.canParse(url)) {
    throw new HyperError("invalid_input", `server: ${url} is not a URL of http or https`);
  }
  const call = async (endpoint: string, input: object = {}, options: CallOptions = {}) => {
    const [method = "", path = ""] = endpoint.split(" ");
    const host = options.host ?? client.host;
    const query = new URLSearchParams(host === undefined ? [] : [["host", host]]);
    const headers = new Headers(client.token ? { Authorization: `Bearer ${client.token}` } : {});
    const init = { method, headers, signal: options.signal ?? null, timeout: false }; // Bun gives up after 5 minutes
    if (method === "POST") {
      headers.set("Content-Type", "application/json");
      Object.assign(init, { body: JSON.stringify(input) });
    } else {
      for (const [key, value] of Object.entries(input)) {
        if (value !== undefined) query.set(key, `${value}`);
      }
    }
    const target = `${url.replace(/\/+$/, "")}${path}${query.size > 0 ? `?${query}` : ""}`;
    try {
      return await answer(method, await (client.fetch ?? fetch)(target, init));
    } catch (error) {
      throw error instanceof HyperError ? error : broken(url, method, error as Error);
    }
  };
  return call as Call;
}

/** The `data` of the answer, or the whole answer if it has no envelope. */
async function answer(method: string, response: Response): Promise<unknown> {
  const { status, ok } = response;
  const type = response.headers.get("Content-Type") ?? "of no type";
  const json = /^application\/json\b/.test(type);
  const body = (json ? await response.json() : {}) as Record<string, unknown>;
  if (ok && json) return body.status === "success" ? body.data : body;
  const { error, code, timestamp, ...details } = body;
  if (typeof error === "string") throw new RemoteError(status, code as ErrorCode, error, details);
  // a proxy that gave up waiting does not know whether its server completed the call
  const kind = method === "POST" && status >= 500 ? "outcome_unknown" : "unreachable";
  const text = `${response.url}: no answer of a HyperSDK server, but HTTP ${status}, ${type}`;
  throw new RemoteError(status, kind, text);
}

/** The error of a call that got no answer. */
function broken(url: string, method: string, error: Error): HyperError {
  const cause = (error.cause ?? error) as Error & { code?: string; errors?: { code?: string }[] };
  const code = cause.code ?? cause.errors?.[0]?.code ?? "";
  const kind = KINDS[error.name];
  const said = `${url}: ${cause.message || code || error.message}`;
  if (method !== "POST" || UNSENT.test(code)) {
    return new HyperError(kind ?? "unreachable", said, { cause: error });
  }
  const text = `${said}. The server may carry it out; look at the present state before you call again.`;
  return new HyperError(kind ?? "outcome_unknown", text, { cause: error });
}

const KINDS: Record<string, ErrorCode> = { AbortError: "cancelled", TimeoutError: "timed_out" };

/** Errors after which the request was certainly not sent: no connection, or no trusted one. */
const UNSENT =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UNABLE_TO_.*|.*CERT.*)$/;
