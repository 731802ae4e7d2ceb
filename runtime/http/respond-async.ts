/** The answer of a call that becomes a job: where to look for it. */
import type { Context } from "hono";
import { submitJobs } from "../jobs/submit.ts";
import type { Call } from "./call.ts";
import { success } from "./envelope.ts";
import { type JobDeclaration, newJob } from "./new-job.ts";

/** The call was validated and is allowed. Throws `function_unavailable` without a database. */
export async function respondAsync(
  c: Context,
  call: Call,
  spec: JobDeclaration,
  idempotencyKey?: string,
) {
  const { path, host, caller, rights } = call;
  if (!caller) throw new Error("a call that was not admitted");
  const input = call.input as object;
  const given: object = await c.req.json();
  const key = idempotencyKey && `Idempotency-Key ${idempotencyKey}`; // not one of /jobs/submit
  const wanted = await newJob({ path, spec, host, given, input, caller, rights });
  const [job] = await submitJobs([{ ...wanted, key }]);
  if (!job) throw new Error("a job that was not stored");
  const { id, state } = job;
  call.data = { id };
  c.header("Location", `/jobs/${id}`);
  c.header("Preference-Applied", "respond-async");
  return c.json(success(`job ${id} was submitted`, { id, state, location: `/jobs/${id}` }), 202);
}
