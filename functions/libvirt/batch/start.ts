/** POST /libvirt/batch/start: start many domains. */
import * as z from "zod";
import { BatchResult, batch, Domains } from "#runtime/function/batch.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { assertNotBackingFile, cachedBackingFiles } from "#runtime/libvirt/storage/backing.ts";

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Start many domains",
  input: z.strictObject({
    domains: Domains,
    paused: z.boolean().default(false).describe("start them paused"),
  }),
  output: BatchResult,
  message: null,
  examples: [{ domains: ["vm1", "vm2", "vm3"], paused: false }],

  async run({ domains, paused }, ctx) {
    return batch(ctx, "start", domains, (ctx) => {
      const bases = cachedBackingFiles(ctx);
      return async (domain, name) => {
        await assertNotBackingFile(ctx, domain, name, bases);
        await ctx.virsh(["start", "--domain", domain, ...(paused ? ["--paused"] : [])]);
      };
    });
  },
});
