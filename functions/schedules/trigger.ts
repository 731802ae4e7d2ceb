/** POST /schedules/trigger: have a schedule make a job now. */
import * as z from "zod";
import { presentRights } from "#runtime/access/submitter.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { ownerOf } from "#runtime/function/job-access.ts";
import { prepareJob } from "#runtime/function/prepare-job.ts";
import { aliasHere } from "#runtime/jobs/host-key.ts";
import { triggerSchedule } from "#runtime/jobs/occur.ts";
import { readSchedule } from "#runtime/jobs/schedule.ts";
import { ScheduleName } from "#runtime/jobs/schedule-view.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Have a schedule make a job now, also while it is disabled",
  scope: "server",
  status: 202,
  headers: ({ job_id }) => ({ Location: `/jobs/${job_id}` }),
  input: z.strictObject({ name: ScheduleName }),
  output: z.object({ name: z.string(), job_id: z.string() }),
  message: ({ name, job_id }) => `schedule ${name} has made job ${job_id}`,
  examples: [{ name: "evenings" }],

  async run({ name }, ctx) {
    const schedule = await readSchedule(name, ownerOf(ctx.caller));
    const caller = await presentRights(schedule.submitter);
    const host = aliasHere(schedule.template.host);
    const wanted = await prepareJob({ caller }, { ...schedule.template, host });
    const job = await triggerSchedule(schedule, wanted);
    return { name, job_id: job.id };
  },
});
