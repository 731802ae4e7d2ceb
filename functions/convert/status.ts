/** GET /convert/status?id=: one conversion. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { OwnJob, readOwn } from "#runtime/function/own-job.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Show a conversion: its state, progress, and what it has made",
  scope: "server",
  input: z
    .strictObject({
      id: z.string().optional().describe("of the conversion, which is its job's"),
      conversion_id: z.string().optional().describe("the same"),
    })
    .refine(({ id, conversion_id }) => (id === undefined) !== (conversion_id === undefined), {
      path: ["id"],
      error: "required: either id or conversion_id",
    }),
  output: OwnJob,
  message: ({ id, status }) => `Conversion ${id} is ${status}`,
  examples: [{ id: "7f6d2c1e-3c7a-4d57-9c39-0e1f6a1b2c3d" }],

  run: ({ id, conversion_id }, ctx) => readOwn(ctx, "/convert/vm", `${id ?? conversion_id}`),
});
