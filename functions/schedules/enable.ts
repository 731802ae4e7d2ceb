/** POST /schedules/enable: have a schedule make jobs again, from its next time on. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { ownerOf } from "#runtime/function/job-access.ts";
import { enableSchedule, readSchedule } from "#runtime/jobs/schedule.ts";
import { ScheduleName, ScheduleView, viewSchedule } from "#runtime/jobs/schedule-view.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Enable a schedule from its next time on",
  scope: "server",
  input: z.strictObject({ name: ScheduleName }),
  output: ScheduleView,
  message: ({ name, next_runs }) => `schedule ${name} is enabled; its next time is ${next_runs[0]}`,
  examples: [{ name: "evenings" }],

  async run({ name }, ctx) {
    const owner = ownerOf(ctx.caller);
    await enableSchedule(await readSchedule(name, owner));
    return viewSchedule(await readSchedule(name, owner));
  },
});
