/** GET, POST /jobs/query: jobs by filters, the newest first. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { ownerOf } from "#runtime/function/job-access.ts";
import { Moment, Text } from "#runtime/jobs/fields.ts";
import { STATES } from "#runtime/jobs/job.ts";
import { queryJobs } from "#runtime/jobs/query.ts";
import { JobId, JobView, utc, viewJob } from "#runtime/jobs/view.ts";

const State = z.enum(STATES);

export default defineFunction({
  method: ["GET", "POST"],
  access: "read",
  summary: "List jobs",
  scope: "server",
  input: z.strictObject({
    job_ids: z.array(JobId).max(1000).optional().describe("only these"),
    status: z.array(State).optional().describe("the states that are wanted"),
    all: z.boolean().default(true).describe("false: only jobs that have not ended"),
    function: z.array(Text).optional().describe("paths of functions"),
    hosts: z.array(Text).optional().describe("aliases of hypervisors"),
    domain: Text.optional().describe("the name of a domain that the job is about"),
    who: Text.optional().describe("the name of the submitter"),
    schedule: Text.optional().describe("the name of the schedule that made them"),
    since: Moment.optional().describe("submitted then or later"),
    until: Moment.optional().describe("submitted before"),
    limit: z
      .int()
      .min(1)
      .max(1000)
      .default(100)
      .describe("jobs on a page; fewer where they are large"),
    cursor: z.string().optional().describe("of the answer before, for the next page"),
  }),
  output: z.object({
    jobs: z.array(JobView),
    total: z.number().describe("all that the filters find"),
    cursor: z.string().nullable().describe("null on the last page"),
  }),
  message: null,
  examples: [{ status: ["running"], limit: 10 }],

  async run(
    { job_ids, status, all, function: functions, limit, cursor, since, until, ...rest },
    ctx,
  ) {
    const open: (typeof STATES)[number][] = ["queued", "running", "cancelling"];
    const states = status ?? (all ? undefined : open);
    const times = { since: since && utc(since), until: until && utc(until) };
    const filter = { ids: job_ids, states, functions, ...times, ...rest };
    const page = await queryJobs(filter, ownerOf(ctx.caller), { limit, cursor });
    return { ...page, jobs: page.jobs.map((job) => viewJob(job)) };
  },
});
