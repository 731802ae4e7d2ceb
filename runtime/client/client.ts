/**
 * A typed HTTP client: `createClient("https://kvm.example", { token })` calls a server as `connect` calls a
 * hypervisor. It needs nothing of the server's code, and works in Bun, Node and browsers.
 */

import { type ErrorCode, HyperError } from "../core/errors.ts";
import { dataOf, errorOf } from "./body.ts";
import { isBytes, readBytes, requestBytes } from "./bytes.ts";
import { readEvents } from "./events.ts";
import { followEvents } from "./follow-events.ts";
import { openJob } from "./job.ts";
import { RemoteError } from "./remote-error.ts";
import type { Call, CallOptions, JobOptions } from "./types.ts";

export type * from "./types.ts";
export { HyperError, openJob, RemoteError };

export interface ClientOptions {
  /** Sent as `Authorization: Bearer`. */
  token?: string | undefined;
  /** Alias of the hypervisor, unless a call names another; the server's default otherwise. */
  host?: string | undefined;
  /** Replaces the global `fetch`, for a proxy or client certificates. Node's own gives up after 5 minutes. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
}

/** `url` is the prefix of the server's paths. Throws `invalid_input` for anything but an http or https URL. */
export function createClient(url: string, client: ClientOptions = {}): Call {
  if (!/^https?:/.test(url) || !URL.canParse(url)) {
    throw new HyperError("invalid_input", `server: ${url} is not a URL of http or https`);
  }
  const call = async (endpoint: string, input: object = {}, options: Options = {}) => {
    const [method = "", path = ""] = endpoint.split(" ");
    const host = options.host ?? client.host;
    const query = new URLSearchParams(host === undefined ? [] : [["host", host]]);
    const headers = headersOf(client, options);
    const init = { method, headers, signal: options.signal ?? null, timeout: false }; // Bun gives up after 5 minutes
    const { body } = options as CallOptions;
    if (body) Object.assign(init, requestBytes(body, headers));
    if (method !== "GET" && !body) {
      headers.set("Content-Type", "application/json");
      Object.assign(init, { body: JSON.stringify(input) });
    } else {
      for (const [key, value] of Object.entries(input)) {
        for (const one of [value].flat()) if (one !== undefined) query.append(key, `${one}`);
      }
    }
    const target = `${url.replace(/\/+$/, "")}${path}${query.size > 0 ? `?${query}` : ""}`;
    try {
      const request = (more?: Headers) =>
        (client.fetch ?? fetch)(target, more ? { ...init, headers: more } : init);
      const response = await request();
      const events = response.ok && /^text\/event-stream\b/.test(contentType(response));
      if (options.wait === false) return job(call as Call, await answer(method, response), path);
      if (isBytes(response))
        return readBytes(response, async (range) => {
          const part = await request(new Headers([...headers, ...range]));
          return isBytes(part) ? part : ((await answer(method, part)) as never);
        });
      if (!events) return await answer(method, response);
      return readEvents(response, (error) => broken(url, "GET", error));
    } catch (error) {
      throw error instanceof HyperError ? error : broken(url, method, error as Error);
    }
  };
  const made = Object.assign(call as Omit<Call, "events"> as Call, {
    events: (...filter: Parameters<Call["events"]>) => followEvents(made, ...filter),
  });
  return made;
}

type Options = CallOptions | JobOptions;

function headersOf({ token }: ClientOptions, { wait, idempotencyKey }: Options): Headers {
  return new Headers({
    ...(token && { Authorization: `Bearer ${token}` }),
    ...(wait === false && { Prefer: "respond-async" }),
    ...(idempotencyKey !== undefined && { "Idempotency-Key": idempotencyKey }),
  });
}

/** The handle of a job that was submitted. A server answers at once, as to any call, where a function cannot be a job. */
function job(call: Call, data: unknown, path: string) {
  const { id, location } = (data ?? {}) as { id?: unknown; location?: unknown };
  if (typeof id === "string" && location === `/jobs/${id}`) return openJob(call, id);
  const text = `${path} is no job there: it was carried out and has answered at once`;
  throw new HyperError("unsupported", text, { details: { data } });
}

const contentType = ({ headers }: Response) => headers.get("Content-Type") ?? "of no type";

/** The `data` of the answer, or the whole answer if it has no envelope. */
async function answer(method: string, response: Response): Promise<unknown> {
  const { status, ok } = response;
  const type = contentType(response);
  const json = /^application\/json\b/.test(type);
  const body = (json ? await response.json() : {}) as Record<string, unknown>;
  if (ok && json) return dataOf(body);
  if (ok && type.startsWith("image/")) return new Uint8Array(await response.arrayBuffer());
  if (typeof body.error === "string") throw errorOf(status, body);
  // a proxy that gave up waiting does not know whether its server completed the call
  const kind = method !== "GET" && status >= 500 ? "outcome_unknown" : "unreachable";
  const text = `${response.url}: no answer of a HyperSDK server, but HTTP ${status}, ${type}`;
  throw new RemoteError(status, kind, text);
}

/** The error of a call that got no answer. */
function broken(url: string, method: string, error: Error): HyperError {
  const cause = (error.cause ?? error) as Error & { code?: string; errors?: { code?: string }[] };
  const code = cause.code ?? cause.errors?.[0]?.code ?? "";
  const kind = KINDS[error.name];
  const said = `${url}: ${cause.message || code || error.message}`;
  if (method === "GET" || UNSENT.test(code)) {
    return new HyperError(kind ?? "unreachable", said, { cause: error });
  }
  const text = `${said.replace(/\.$/, "")}. The server may carry it out; look at the present state before you call again.`;
  return new HyperError(kind ?? "outcome_unknown", text, { cause: error });
}

const KINDS: Record<string, ErrorCode> = { AbortError: "cancelled", TimeoutError: "timed_out" };

/** Errors after which the request was certainly not sent: no connection, or no trusted one. */
const UNSENT =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UNABLE_TO_.*|.*CERT.*)$/;
