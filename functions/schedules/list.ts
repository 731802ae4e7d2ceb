/** GET /schedules/list: schedules, with their next times and their last results. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { ownerOf } from "#runtime/function/job-access.ts";
import { listSchedules } from "#runtime/jobs/schedule.ts";
import { ScheduleView, viewSchedule } from "#runtime/jobs/schedule-view.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "List schedules",
  scope: "server",
  input: z.strictObject({}),
  output: z.object({ schedules: z.array(ScheduleView), total: z.number() }),
  message: null,

  async run(_input, ctx) {
    const found = await listSchedules(ownerOf(ctx.caller));
    const schedules = await Promise.all(found.map(viewSchedule));
    return { schedules, total: schedules.length };
  },
});
