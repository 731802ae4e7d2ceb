/** POST /libvirt/batch/start: start many domains. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { BatchResult, batch } from "#runtime/function/batch.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { targeted } from "#runtime/function/targets.ts";
import { readKnown } from "#runtime/libvirt/definitions.ts";
import { assertWaitable, Wait, waitForGuest } from "#runtime/libvirt/domain/wait-for-guest.ts";
import { assertNotBackingFile, cachedBackingFiles } from "#runtime/libvirt/storage/backing.ts";

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Start many domains",
  input: targeted({
    paused: z.boolean().default(false).describe("start them paused"),
    wait: Wait.optional().describe("also wait for each guest"),
  }),
  output: BatchResult,
  message: null,
  examples: [{ domains: ["vm1", "vm2", "vm3"], paused: false }],

  async run({ domains, select, paused, wait }, ctx) {
    if (wait && paused)
      throw new HyperError("invalid_input", "wait: the guest of a paused domain does not come");
    return batch(ctx, "start", { domains, select }, (ctx) => {
      const bases = cachedBackingFiles(ctx);
      return async (domain, name) => {
        await assertNotBackingFile(ctx, domain, name, bases);
        if (wait) assertWaitable((await readKnown(ctx, domain)).domain, wait);
        await ctx.virsh(["start", "--domain", domain, ...(paused ? ["--paused"] : [])]);
        return wait && { guest: await waitForGuest(ctx, domain, wait) };
      };
    });
  },
});
