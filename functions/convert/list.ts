/** GET /convert/list: conversions, the newest first. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { listOwn, OwnJob } from "#runtime/function/own-job.ts";
import { STATES } from "#runtime/jobs/job.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "List conversions of virtual machines",
  scope: "server",
  input: z.strictObject({
    status: z.array(z.enum(STATES)).optional().describe("the states that are wanted"),
    limit: z.int().min(1).max(1000).default(100).describe("conversions on a page"),
    cursor: z.string().optional().describe("of the answer before, for the next page"),
  }),
  output: z.object({
    conversions: z.array(OwnJob),
    total: z.number(),
    cursor: z.string().nullable().describe("null on the last page"),
  }),
  message: ({ total }) => `${total} ${total === 1 ? "conversion" : "conversions"}`,
  examples: [{ status: ["running"] }],

  async run({ status, limit, cursor }, ctx) {
    const { jobs, ...rest } = await listOwn(ctx, "/convert/vm", { states: status, limit, cursor });
    return { conversions: jobs, ...rest };
  },
});
