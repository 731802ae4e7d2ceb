/** One reading of one hypervisor: it has so much time, and leaves nothing behind. */
import pLimit, { type LimitFunction } from "p-limit";
import type { Context, Virsh } from "../hypervisor/context.ts";

export interface Scrape {
  /** Its commands end with the reading. */
  ctx: Context;
  /** Undefined when it takes longer than the reading has time for. */
  intime<T>(work: Promise<T>): Promise<T | undefined>;
  /** For reads by the hundred, so that other callers' come between. */
  turns: LimitFunction;
  end(): void;
}

/** Calls at once, of the read lane's four. */
const AT_ONCE = 2;

/** `patience`: milliseconds from now. */
export function beginScrape(given: Context, patience: number): Scrape {
  const over = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => {
      resolve(undefined); // before what is cut off fails for it
      over.abort();
    }, patience);
  });
  return {
    ctx: withSignal(given, AbortSignal.any([given.signal, over.signal])),
    intime: (work) => Promise.race([work, late]),
    turns: pLimit(AT_ONCE),
    end() {
      clearTimeout(timer);
      over.abort();
    },
  };
}

function withSignal(ctx: Context, signal: AbortSignal): Context {
  const virsh: Virsh = (command, given) => ctx.virsh(command, { signal, ...given });
  virsh.all = (commands, given) => ctx.virsh.all(commands, { signal, ...given });
  virsh.settled = (commands, given) => ctx.virsh.settled(commands, { signal, ...given });
  virsh.oneShot = (command, given) => ctx.virsh.oneShot(command, { signal, ...given });
  return { ...ctx, virsh, signal };
}

/** What some hypervisors do not have, and none must fail for: nothing then, and a line in the log. */
export async function optional<T>({ ctx, intime }: Scrape, what: string, work: Promise<T>) {
  try {
    const found = await intime(work);
    if (!found) ctx.log.warn({ host: ctx.host }, `metrics: ${what} did not come in time`);
    return found;
  } catch (error) {
    ctx.log.info({ host: ctx.host, cause: error }, `metrics: no ${what}`);
    return undefined;
  }
}
