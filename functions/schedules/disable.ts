/** POST /schedules/disable: have a schedule make no jobs until it is enabled. */
import * as z from "zod";
import { describeCaller } from "#runtime/access/caller.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { ownerOf } from "#runtime/function/job-access.ts";
import { disableSchedule, readSchedule } from "#runtime/jobs/schedule.ts";
import { ScheduleName, ScheduleView, viewSchedule } from "#runtime/jobs/schedule-view.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Disable a schedule; jobs that it has made go on",
  scope: "server",
  input: z.strictObject({ name: ScheduleName }),
  output: ScheduleView,
  message: ({ name }) => `schedule ${name} is disabled`,
  examples: [{ name: "evenings" }],

  async run({ name }, ctx) {
    const owner = ownerOf(ctx.caller);
    const because = `disabled by ${describeCaller(ctx.caller)}`;
    await disableSchedule(await readSchedule(name, owner), because);
    return viewSchedule(await readSchedule(name, owner));
  },
});
