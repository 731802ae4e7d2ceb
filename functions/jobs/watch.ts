/** GET /jobs/watch: the jobs that have not ended, as they go. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { ownerOf } from "#runtime/function/job-access.ts";
import { JobView } from "#runtime/jobs/view.ts";
import { watchJobs } from "#runtime/jobs/watch.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Follow the jobs that have not ended",
  scope: "server",
  stream: "sse",
  input: z.strictObject({}),
  output: z.object({ jobs: z.array(JobView).describe("all of them, the newest first") }),
  message: null,

  async run(_input, { caller, signal }) {
    return watchJobs(ownerOf(caller), signal);
  },
});
