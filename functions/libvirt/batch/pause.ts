/** POST /libvirt/batch/pause: pause many domains. */
import { BatchResult, batch } from "#runtime/function/batch.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { targeted } from "#runtime/function/targets.ts";

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Pause many domains",
  input: targeted({}),
  output: BatchResult,
  message: null,
  examples: [{ domains: ["vm1", "vm2"] }],

  async run({ domains, select }, ctx) {
    return batch(ctx, "pause", { domains, select }, (ctx) => async (domain) => {
      await ctx.virsh(["suspend", "--domain", domain]);
    });
  },
});
