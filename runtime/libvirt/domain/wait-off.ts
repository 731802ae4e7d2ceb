/** Waits until a guest that was asked to shut down is off. */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { type Changes, watchChanges } from "./changes.ts";
import { Timeout } from "./wait-for-guest.ts";

export const WaitOff = z.strictObject({
  for: z.literal("state").describe("the domain is off"),
  timeout: Timeout,
});

/** Asks the guest to shut down, and waits until it is off: as long as that took, in seconds. Throws as `waitOff` does. */
export async function shutDown(
  ctx: Context,
  domain: string,
  timeoutSeconds: number,
): Promise<number> {
  const changes = await watchChanges(ctx, domain);
  try {
    await ctx.virsh(["shutdown", "--domain", domain]);
    return await waitOff(ctx, domain, timeoutSeconds, changes);
  } finally {
    changes.end();
  }
}

/** Seconds that it took. Throws `timed_out` and `cancelled`, which tell the state; the guest may still shut down later. */
export async function waitOff(
  ctx: Context,
  domain: string,
  timeoutSeconds: number,
  changes: Changes,
): Promise<number> {
  const began = performance.now();
  for (;;) {
    const [state] = await ctx.virsh.settled([["domstate", "--domain", domain]]);
    const seconds = (performance.now() - began) / 1000;
    const gone = state instanceof HyperError && state.code === "not_found"; // it was transient
    if (gone || (typeof state === "string" && state.trim() === "shut off"))
      return Math.round(seconds * 10) / 10;
    if (state instanceof HyperError) throw state;
    if (seconds >= timeoutSeconds) {
      const text = `asked to shut down, but still ${state?.trim()} after ${timeoutSeconds} s`;
      throw new HyperError("timed_out", text);
    }
    if (ctx.signal.aborted) {
      const text = `asked to shut down, and still ${state?.trim()} when the call was cut off`;
      throw new HyperError("cancelled", text);
    }
    await changes.next(Math.max(1, timeoutSeconds * 1000 - (performance.now() - began)));
  }
}
