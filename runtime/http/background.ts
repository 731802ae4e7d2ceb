/**
 * The calls that need the database: those that become jobs, and those with a key by which they are done once. What
 * serves them is loaded with the first; a bundle has a module in its place (build/bundle.ts).
 */
import type { Context } from "hono";
import { movesBytes } from "../core/bytes.ts";
import { HyperError } from "../core/errors.ts";
import type { Env } from "./call.ts";
import type { JobDeclaration } from "./new-job.ts";

/** Source: RFC 7240. */
const RESPOND_ASYNC = /(^|,)\s*respond-async\s*(,|;|$)/i;

/** A preference of a call that cannot be a job is ignored, as preferences are. */
const wantsJob = (c: Context, spec: JobDeclaration) =>
  spec.access !== "read" &&
  spec.scope !== "server" &&
  !movesBytes(spec) &&
  RESPOND_ASYNC.test(c.req.header("Prefer") ?? "");

/** Answers by `respond`, or by a job, and not twice for the same `Idempotency-Key`. */
export async function inBackground(
  c: Context<Env>,
  spec: JobDeclaration,
  respond: () => Promise<Response>,
): Promise<Response> {
  const { call } = c.env;
  const isJob = wantsJob(c, spec);
  const key = call.changes ? c.req.header("Idempotency-Key") : undefined;
  if (key !== undefined && movesBytes(spec)) {
    const text =
      "is not for bytes, which nothing keeps; a second PUT fails, since the first is there";
    throw new HyperError("invalid_input", `Idempotency-Key: ${text}`);
  }
  if (!isJob && key === undefined) return respond();
  const { once, respondAsync } = await import("./durable.ts");
  const run = isJob ? () => respondAsync(c, call, spec, key) : respond;
  return key === undefined ? run() : once(c, call, key, run, isJob);
}
