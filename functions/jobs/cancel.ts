/** POST /jobs/cancel: stop jobs, and remove what they have made. */
import * as z from "zod";
import { describeCaller } from "#runtime/access/caller.ts";
import { errorFields, HyperError, toHyperError } from "#runtime/core/errors.ts";
import { timestamp } from "#runtime/core/time.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { ownerOf } from "#runtime/function/job-access.ts";
import { cancelJob } from "#runtime/jobs/cancel.ts";
import { readJob } from "#runtime/jobs/query.ts";
import { JobId } from "#runtime/jobs/view.ts";

const Ids = z.array(z.string());

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Cancel jobs and remove what they have made",
  scope: "server",
  input: z.strictObject({ job_ids: z.array(JobId).min(1).max(1000).describe("the jobs' IDs") }),
  output: z.object({
    cancelled: Ids.describe("jobs of which nothing is left"),
    cancelling: Ids.describe("jobs that are being undone; their state tells when it is done"),
    failed: Ids,
    errors: z.record(z.string(), z.object({ error: z.string(), code: z.string() })),
  }),
  message: null,
  examples: [{ job_ids: ["7f6d2c1e-3c7a-4d57-9c39-0e1f6a1b2c3d"] }],

  async run({ job_ids }, ctx) {
    const answer = { cancelled: [], cancelling: [], failed: [], errors: {} } as {
      cancelled: string[];
      cancelling: string[];
      failed: string[];
      errors: Record<string, { error: string; code: string }>;
    };
    const never = new HyperError("cancelled", "the job was cancelled before it began");
    const body = { ...errorFields(never), timestamp: timestamp() };
    for (const id of new Set(job_ids)) {
      try {
        const found = await readJob(id, ownerOf(ctx.caller));
        const who = describeCaller(ctx.caller);
        const { job, wasEnded } = await cancelJob(found, who, { status: never.status, body });
        if (wasEnded) throw new HyperError("not_active", `job ${id} is ${job.state} already`);
        answer[job.state === "cancelled" ? "cancelled" : "cancelling"].push(id);
      } catch (error) {
        const { message, code } = toHyperError(error);
        answer.failed.push(id);
        answer.errors[id] = { error: message, code };
      }
    }
    return answer;
  },
});
