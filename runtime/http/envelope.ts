/** The envelopes of answers, as in the reference, and the one place where an error becomes an answer. */
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { errorFields, HyperError, INTERNAL, toHyperError } from "../core/errors.ts";
import { log } from "../core/log.ts";
import { timestamp } from "../core/time.ts";
import type { Call } from "./call.ts";

export function success(message: string, data: unknown) {
  return { status: "success", message, data, timestamp: timestamp() };
}

/** The body of a successful answer, in the envelope or without. */
export function successBody(
  { message }: { message: string | null | ((data: never, input: never) => string) },
  input: unknown,
  data: unknown,
): Record<string, unknown> {
  if (message === null) return data as Record<string, unknown>;
  const text = typeof message === "string" ? message : message(data as never, input as never);
  return success(text, data);
}

export function failure(error: Error, c: Context): Response {
  const { known, body } = failureBody(error, c);
  if (known.code === "busy" || known.code === "rate_limited") {
    c.header("Retry-After", `${known.details.retry_after ?? 1}`);
  }
  return c.json(body, known.status as ContentfulStatusCode);
}

/** The caller sees a safe message, the log sees everything. */
export function failureBody(error: Error, c: Context) {
  const known = knownError(error);
  const level = known.code === "internal" ? "error" : known.status >= 500 ? "warn" : "debug";
  const { method, path } = c.req;
  const seen = known.code === "internal" ? { error: known.cause ?? error } : { cause: known.cause };
  const call: Call | undefined = c.env?.call;
  (call?.log ?? log)[level]({ method, path, code: known.code, ...seen }, known.message);
  const request_id = call?.arrival && call.id;
  return { known, body: { ...errorFields(known), request_id, timestamp: timestamp() } };
}

/** The error that the caller is told. Hono throws its own for a body that is no JSON. */
export function knownError(error: Error): HyperError {
  if (!(error instanceof HTTPException && error.status === 400)) return toHyperError(error);
  return new HyperError("invalid_input", "body: not valid JSON", { cause: error });
}

/** The answer where `failure` itself has failed. */
export function lastResort(error: Error): Response {
  log.error({ error }, "a call could not be answered");
  const answer = { error: INTERNAL, code: "internal", timestamp: timestamp() };
  return Response.json(answer, { status: 500 });
}
