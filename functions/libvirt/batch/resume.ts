/** POST /libvirt/batch/resume: resume many domains. */
import { BatchResult, batch } from "#runtime/function/batch.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { targeted } from "#runtime/function/targets.ts";

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Resume many domains",
  input: targeted({}),
  output: BatchResult,
  message: null,
  examples: [{ domains: ["vm1", "vm2"] }],

  async run({ domains, select }, ctx) {
    return batch(ctx, "resume", { domains, select }, (ctx) => async (domain) => {
      await ctx.virsh(["resume", "--domain", domain]);
    });
  },
});
