/** The answers' envelopes, as in the reference, and the one place where an error becomes an answer. */
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { HyperError, INTERNAL } from "../core/errors.ts";
import { log } from "../core/log.ts";
import { timestamp } from "../core/time.ts";
import type { Call } from "./call.ts";

export function success(message: string, data: unknown) {
  return { status: "success", message, data, timestamp: timestamp() };
}

/** The caller sees a safe message, the log sees everything. */
export function failure(error: Error, c: Context): Response {
  const known = toHyperError(error);
  const level = known.code === "internal" ? "error" : known.status >= 500 ? "warn" : "debug";
  const { method, path } = c.req;
  const seen = known.code === "internal" ? { error: known.cause ?? error } : { cause: known.cause };
  const call: Pick<Call, "id" | "log"> | undefined = c.env?.call;
  (call?.log ?? log)[level]({ method, path, code: known.code, ...seen }, known.message);
  const { code, message, details } = known;
  if (code === "busy" || code === "rate_limited") {
    c.header("Retry-After", `${details.retry_after ?? 1}`);
  }
  return c.json(
    { error: message, code, ...details, request_id: call?.id, timestamp: timestamp() },
    known.status as ContentfulStatusCode,
  );
}

/** The answer where `failure` itself has failed. */
export function lastResort(error: Error): Response {
  log.error({ error }, "a call could not be answered");
  const answer = { error: INTERNAL, code: "internal", timestamp: timestamp() };
  return Response.json(answer, { status: 500 });
}

function toHyperError(error: Error): HyperError {
  if (error instanceof HyperError) return error;
  if (error instanceof HTTPException && error.status === 400) {
    return new HyperError("invalid_input", "body: not valid JSON", { cause: error });
  }
  return new HyperError("internal", INTERNAL, { cause: error });
}
