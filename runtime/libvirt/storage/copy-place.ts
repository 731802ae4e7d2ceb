/**
 * Places for what copies images on a hypervisor: `[clone] copies` at once, whoever asked for them. A disk of a clone
 * or an export takes one, and so does a volume that is copied or imported.
 */
import { Semaphore } from "../../core/semaphore.ts";
import { settings } from "../../core/settings.ts";
import type { Context } from "../../hypervisor/context.ts";

const places = new Map<string, Semaphore>();
/** A copy waits for the ones before it, which may take hours, and until its call is cancelled. */
const PATIENCE = { queue: Number.POSITIVE_INFINITY, waitMs: 2 ** 31 - 1 };

function placesOf(host: string): Semaphore {
  const known = places.get(host) ?? new Semaphore({ slots: settings().clone.copies, ...PATIENCE });
  places.set(host, known);
  return known;
}

/**
 * Waits for a place, then copies. The copy of a job has a place among those of all workers, too; one of a call that
 * is no job among those of this process. A copy never asks for a second place: two would wait for each other.
 */
export async function inCopyPlace<T>(ctx: Context, copy: () => Promise<T>): Promise<T> {
  const leave = await placesOf(ctx.host).acquire(ctx.signal);
  try {
    const giveBack = await ctx.job?.takeCopyPlace(ctx.host, ctx.signal);
    try {
      return await copy();
    } finally {
      await giveBack?.();
    }
  } finally {
    leave();
  }
}
