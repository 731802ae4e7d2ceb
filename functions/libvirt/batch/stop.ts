/** POST /libvirt/batch/stop: ask many domains to shut down, or switch them off. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { BatchResult, batch } from "#runtime/function/batch.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { targeted } from "#runtime/function/targets.ts";
import { shutDown, WaitOff } from "#runtime/libvirt/domain/wait-off.ts";

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Stop many domains",
  input: targeted({
    force: z.boolean().default(false).describe("switch off at once instead of asking the guest"),
    timeout: z
      .number()
      .positive()
      .max(3600)
      .optional()
      .describe(
        "seconds to wait until the guest is off; without it the answer says that the guest was asked",
      ),
    wait: WaitOff.optional().describe("the same with the words of other calls"),
  }),
  output: BatchResult,
  message: null,
  examples: [{ domains: ["vm1", "vm2", "vm3"], force: false }],

  async run({ domains, select, force, timeout, wait }, ctx) {
    if (wait && timeout !== undefined)
      throw new HyperError("invalid_input", "timeout: is that of wait; give one of them");
    const seconds = wait?.timeout ?? timeout;
    return batch(ctx, "stop", { domains, select }, (ctx) => async (domain) => {
      if (force) await ctx.virsh(["destroy", "--domain", domain]);
      else if (seconds !== undefined) await shutDown(ctx, domain, seconds);
      else await ctx.virsh(["shutdown", "--domain", domain]);
      return { state: force || seconds !== undefined ? "shut off" : "shutdown requested" };
    });
  },
});
