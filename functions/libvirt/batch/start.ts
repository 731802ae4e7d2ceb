/** POST /libvirt/batch/start: start many domains. */
import * as z from "zod";
import { readBases, refuseBase } from "../../../runtime/bases.ts";
import { BatchResult, batch, Domains } from "../../../runtime/batch.ts";
import { fresh } from "../../../runtime/fresh.ts";
import { defineFunction } from "../../../runtime/function.ts";

/** Milliseconds: an image that was made so shortly before a start may not count as standing on its disk. */
const FRESH = 2000;

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Start many domains",
  input: z.strictObject({
    domains: Domains,
    paused: z.boolean().default(false).describe("leave them paused"),
  }),
  output: BatchResult,
  message: null,
  examples: [{ domains: ["vm1", "vm2", "vm3"], paused: false }],

  async run({ domains, paused }, ctx) {
    return batch(ctx, "start", domains, (ctx) => {
      const bases = fresh(() => readBases(ctx), FRESH);
      return async (domain, name) => {
        await refuseBase(ctx, domain, name, bases);
        await ctx.virsh(["start", "--domain", domain, ...(paused ? ["--paused"] : [])]);
      };
    });
  },
});
