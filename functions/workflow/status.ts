/** GET /workflow/status?id=: one workflow, or all of them, the newest first. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { listOwn, OwnJob, readOwn } from "#runtime/function/own-job.ts";

const PATH = "/workflow/convert";

const Workflows = z.object({
  workflows: z.array(OwnJob),
  total: z.number(),
  cursor: z.string().nullable().describe("null on the last page"),
});

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Show workflows of moving in: state, progress, and what they have made",
  scope: "server",
  input: z.strictObject({
    id: z.string().optional().describe("of one workflow, which is its job's"),
    limit: z.int().min(1).max(1000).default(100).describe("workflows on a page"),
    cursor: z.string().optional().describe("of the answer before, for the next page"),
  }),
  output: z.union([OwnJob, Workflows]),
  message: (data) =>
    "workflows" in data
      ? `${data.total} ${data.total === 1 ? "workflow" : "workflows"}`
      : `Workflow ${data.id} is ${data.status}`,
  examples: [{ id: "7f6d2c1e-3c7a-4d57-9c39-0e1f6a1b2c3d" }],

  async run({ id, limit, cursor }, ctx) {
    if (id !== undefined) return readOwn(ctx, PATH, id);
    const { jobs, ...rest } = await listOwn(ctx, PATH, { limit, cursor });
    return { workflows: jobs, ...rest };
  },
});
