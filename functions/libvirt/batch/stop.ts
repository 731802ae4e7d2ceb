/** POST /libvirt/batch/stop: ask many domains to shut down, or switch them off. */
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { BatchResult, batch, Domains } from "#runtime/function/batch.ts";
import { defineFunction } from "#runtime/function/define.ts";
import type { Context } from "#runtime/hypervisor/context.ts";

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Stop many domains",
  input: z.strictObject({
    domains: Domains,
    force: z.boolean().default(false).describe("switch off at once instead of asking the guest"),
    timeout: z
      .number()
      .positive()
      .max(3600)
      .optional()
      .describe(
        "seconds to wait until the guest is off; without it the answer says that the guest was asked",
      ),
  }),
  output: BatchResult,
  message: null,
  examples: [{ domains: ["vm1", "vm2", "vm3"], force: false }],

  async run({ domains, force, timeout }, ctx) {
    return batch(ctx, "stop", domains, (ctx) => async (domain) => {
      await ctx.virsh([force ? "destroy" : "shutdown", "--domain", domain]);
      if (force) return { state: "shut off" };
      if (timeout === undefined) return { state: "shutdown requested" };
      await untilOff(ctx, domain, timeout);
      return { state: "shut off" };
    });
  },
});

async function untilOff({ virsh }: Context, domain: string, timeoutSeconds: number) {
  const deadline = performance.now() + timeoutSeconds * 1000;
  for (;;) {
    const [state] = await virsh.settled([["domstate", "--domain", domain]]);
    if (typeof state === "string" && state.trim() === "shut off") return;
    if (state instanceof HyperError && state.code === "not_found") return; // it was transient
    if (state instanceof HyperError) throw state;
    if (performance.now() > deadline) {
      throw new HyperError(
        "timed_out",
        `asked to shut down, but still ${state?.trim()} after ${timeoutSeconds} s`,
      );
    }
    await sleep(Math.min(500, Math.max(1, deadline - performance.now())));
  }
}
