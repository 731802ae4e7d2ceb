/**
 * Domains whose QEMU does not answer its monitor. A call that meets one hangs until QEMU thaws, or for the 30 s
 * that libvirt waits for the call before it, so such domains are found in time and left out.
 */
import type { Context } from "../hypervisor/context.ts";

/** A domain: its name in libvirt, and the words for `--domain`. */
export interface MonitorTarget {
  name: string;
  ref: string;
}

/** A call takes 200 ms on a busy machine; people wait at most twice the deadline. */
export const MONITOR_DEADLINE_MS = 1200;
/** After a domain was found stuck, its hypervisor is suspected for this time. */
const SUSPECT_MS = 60_000;

/** By hypervisor, in milliseconds of performance.now(). */
const suspectUntil = new Map<string, number>();

/** Whether a domain of the hypervisor was stuck lately. */
export const isSuspect = (host: string) => (suspectUntil.get(host) ?? 0) > performance.now();

const OCCUPIED = /^occupied /;
const BACKGROUND_JOB = /^background job /;

/**
 * The domains that hold up a call which has missed its deadline. `domcontrol` prints `occupied (8.039s)` while a
 * call waits for the monitor, and `background job (8.039s)` while a snapshot or migration goes on, which mostly
 * answers all the same.
 */
export async function findStuck<T extends MonitorTarget>(ctx: Context, targets: T[]): Promise<T[]> {
  const occupied = await findOccupied(ctx, targets);
  const held = occupied.length > 0 ? occupied : await matching(ctx, targets, BACKGROUND_JOB);
  for (const { name } of held)
    ctx.log.warn({ host: ctx.host, domain: name }, "QEMU does not answer, the domain is set aside");
  if (held.length > 0) suspectUntil.set(ctx.host, performance.now() + SUSPECT_MS);
  return held;
}

/** The domains with a call that has waited for the monitor too long. */
export const findOccupied = <T extends MonitorTarget>(ctx: Context, targets: T[]) =>
  matching(ctx, targets, OCCUPIED);

/** Those of the domains that were stuck that still are. */
export const stillStuck = <T extends MonitorTarget>(ctx: Context, targets: T[]) =>
  matching(ctx, targets, /^(occupied|background job) /);

async function matching<T extends MonitorTarget>(ctx: Context, targets: T[], pattern: RegExp) {
  const states = await ctx.virsh.settled(targets.map(({ ref }) => ["domcontrol", "--domain", ref]));
  return targets.filter((_, i) => {
    const seconds = `${states[i]}`.match(/\(([\d.]+)s\)/)?.[1];
    return pattern.test(`${states[i]}`) && Number(seconds) * 1000 > MONITOR_DEADLINE_MS / 2;
  });
}
