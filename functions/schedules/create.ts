/** POST /schedules/create: have a call become a job at the times of a cron expression. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { prepareJob, type Submission } from "#runtime/function/prepare-job.ts";
import type { Context } from "#runtime/hypervisor/context.ts";
import { checkTimes } from "#runtime/jobs/cron.ts";
import { createSchedule, readSchedule } from "#runtime/jobs/schedule.ts";
import { OVERLAPS, ScheduleName, ScheduleView, viewSchedule } from "#runtime/jobs/schedule-view.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Create a schedule: a call that becomes a job at the times of a cron expression",
  scope: "server",
  status: 201,
  input: z.strictObject({
    name: ScheduleName,
    cron_expr: z
      .string()
      .trim()
      .max(200)
      .describe("five fields, such as 0 20 * * MON-FRI, or @daily"),
    job_template: z
      .strictObject({
        function: z.string().describe("a function's path, such as /libvirt/clone"),
        input: z.record(z.string(), z.unknown()).default({}).describe("as the function takes it"),
        host: z.string().optional().describe("alias of the hypervisor"),
        priority: z.int().min(-1000).max(1000).default(0).describe("higher ones begin first"),
      })
      .describe("the call, which is made with the rights of who creates the schedule"),
    timezone: z.string().max(100).default("UTC").describe("IANA, such as Europe/Berlin"),
    enabled: z.boolean().default(true).describe("false: it makes no jobs before it is enabled"),
    overlap: z
      .enum(OVERLAPS)
      .default("skip")
      .describe(
        "skip: no job at a time at which one of the schedule has not ended; queue: it waits",
      ),
    catch_up: z
      .boolean()
      .default(false)
      .describe("make up, once, for a time that was missed because no worker ran"),
  }),
  output: ScheduleView,
  message: ({ name, next_runs }) =>
    next_runs[0]
      ? `schedule ${name} was created; its first time is ${next_runs[0]}`
      : `schedule ${name} was created; it is disabled`,
  examples: [
    {
      name: "evenings",
      cron_expr: "0 20 * * MON-FRI",
      timezone: "Europe/Berlin",
      job_template: { function: "/libvirt/domain/shutdown", input: { name: "dev-1" } },
    },
  ],

  async run({ job_template, enabled, ...times }, ctx) {
    const { caller } = ctx;
    await checkTimes(times);
    const template = { ...job_template, host: job_template.host ?? ctx.host };
    await checkTemplate(ctx, template);
    const because = enabled ? null : "it was created so";
    await createSchedule({ ...times, template, submitter: caller }, because);
    return viewSchedule(await readSchedule(times.name, undefined));
  },
});

/** The fields of the submission are within `job_template`. */
async function checkTemplate(ctx: Context, template: Submission) {
  try {
    await prepareJob(ctx, template);
  } catch (error) {
    if (!(error instanceof HyperError && error.code === "invalid_input")) throw error;
    const { message, details, cause } = error;
    throw new HyperError("invalid_input", `job_template.${message}`, { details, cause });
  }
}
