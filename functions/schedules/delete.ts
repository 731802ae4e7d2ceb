/** POST /schedules/delete: delete a schedule; the jobs that it has made stay. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { ownerOf } from "#runtime/function/job-access.ts";
import { deleteSchedule, readSchedule } from "#runtime/jobs/schedule.ts";
import { ScheduleName } from "#runtime/jobs/schedule-view.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Delete a schedule; the jobs that it has made stay",
  scope: "server",
  input: z.strictObject({ name: ScheduleName }),
  output: z.object({ name: z.string() }),
  message: ({ name }) => `schedule ${name} was deleted`,
  examples: [{ name: "evenings" }],

  async run({ name }, ctx) {
    await deleteSchedule(await readSchedule(name, ownerOf(ctx.caller)));
    return { name };
  },
});
