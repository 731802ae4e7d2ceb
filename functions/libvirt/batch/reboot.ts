/** POST /libvirt/batch/reboot: ask many domains to reboot, or reset them. */
import * as z from "zod";
import { BatchResult, batch } from "#runtime/function/batch.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { targeted } from "#runtime/function/targets.ts";
import { Wait } from "#runtime/libvirt/domain/wait-for-guest.ts";
import { rebootAndWait } from "#runtime/libvirt/domain/wait-reboot.ts";

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Reboot many domains",
  input: targeted({
    force: z.boolean().default(false).describe("reset at once instead of asking the guest"),
    wait: Wait.optional().describe("also wait until each has rebooted, and for its guest"),
  }),
  output: BatchResult,
  message: null,
  examples: [{ domains: ["vm1", "vm2"], force: false }],

  async run({ domains, select, force, wait }, ctx) {
    return batch(ctx, "reboot", { domains, select }, (ctx) => async (domain) => {
      const ask = () => ctx.virsh([force ? "reset" : "reboot", "--domain", domain]);
      if (wait) return { guest: await rebootAndWait(ctx, domain, wait, ask) };
      await ask();
      return undefined;
    });
  },
});
