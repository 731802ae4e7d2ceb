/** GET /job: one job, with its result or error. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { ownerOf } from "#runtime/function/job-access.ts";
import { readJob } from "#runtime/jobs/query.ts";
import { JobId, JobView, viewJob } from "#runtime/jobs/view.ts";
import { waitingFor } from "#runtime/jobs/waiting.ts";

export default defineFunction({
  method: "GET",
  alias: "/jobs/:id",
  access: "read",
  summary: "Show a job: its state, progress, and result or error",
  scope: "server",
  input: z.strictObject({ id: JobId }),
  output: JobView,
  message: ({ id, state }) => `job ${id} is ${state}`,
  examples: [{ id: "7f6d2c1e-3c7a-4d57-9c39-0e1f6a1b2c3d" }],

  async run({ id }, ctx) {
    const job = await readJob(id, ownerOf(ctx.caller));
    return viewJob(job, await waitingFor(job));
  },
});
