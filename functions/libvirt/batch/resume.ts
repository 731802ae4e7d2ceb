/** POST /libvirt/batch/resume: resume many domains. */
import * as z from "zod";
import { BatchResult, batch, Domains } from "#runtime/function/batch.ts";
import { defineFunction } from "#runtime/function/define.ts";

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Resume many domains",
  input: z.strictObject({ domains: Domains }),
  output: BatchResult,
  message: null,
  examples: [{ domains: ["vm1", "vm2"] }],

  async run({ domains }, ctx) {
    return batch(ctx, "resume", domains, (ctx) => async (domain) => {
      await ctx.virsh(["resume", "--domain", domain]);
    });
  },
});
