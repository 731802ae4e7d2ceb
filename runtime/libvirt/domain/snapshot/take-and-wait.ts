/** Takes a snapshot, which may hold a guest up, and waits until a domain that ran is there again. */
import type { Context } from "../../../hypervisor/context.ts";
import { readKnown } from "../../definitions.ts";
import { assertWaitable, type Guest, type Wait, waitForGuest } from "../wait-for-guest.ts";
import { takeSnapshot } from "./take.ts";

/** Resolves to what was seen of the guest; undefined for a domain that did not run, or without `wait`. */
export async function takeAndWait(
  ctx: Context,
  domain: string,
  wish: Parameters<typeof takeSnapshot>[2],
  wait: Wait | undefined,
): Promise<Guest | undefined> {
  if (wait) assertWaitable((await readKnown(ctx, domain)).domain, wait);
  const state = wait && (await ctx.virsh(["domstate", "--domain", domain])).trim();
  await takeSnapshot(ctx, domain, wish);
  return wait && state === "running" ? waitForGuest(ctx, domain, wait) : undefined;
}
