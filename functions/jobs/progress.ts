/** GET /jobs/progress: how far a job is. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { ownerOf } from "#runtime/function/job-access.ts";
import { STATES } from "#runtime/jobs/job.ts";
import { readJob } from "#runtime/jobs/query.ts";
import { JobId, ProgressView, viewJob } from "#runtime/jobs/view.ts";

export default defineFunction({
  method: "GET",
  alias: "/jobs/progress/:id",
  access: "read",
  summary: "Show how far a job is",
  scope: "server",
  input: z.strictObject({ id: JobId }),
  output: ProgressView.extend({
    id: z.string(),
    state: z.enum(STATES),
    elapsed_seconds: z.number().nullable().describe("since it began; null before"),
  }),
  message: ({ id, percent }) =>
    percent === null ? `nobody knows how far job ${id} is` : `job ${id} is at ${percent} %`,
  examples: [{ id: "7f6d2c1e-3c7a-4d57-9c39-0e1f6a1b2c3d" }],

  async run({ id }, ctx) {
    const { state, progress, started_at, ended_at } = viewJob(
      await readJob(id, ownerOf(ctx.caller)),
    );
    const until = ended_at === null ? Date.now() : Date.parse(ended_at);
    const elapsed = started_at === null ? null : (until - Date.parse(started_at)) / 1000;
    return { id, state, ...progress, elapsed_seconds: elapsed };
  },
});
