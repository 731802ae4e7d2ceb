/** What happens to one domain, for whoever waits for it: libvirt's events, and a look now and then beside them. */
import { setTimeout as sleep } from "node:timers/promises";
import type { FleetEvent } from "../../events/fleet-event.ts";
import type { Context } from "../../hypervisor/context.ts";
import { nameIn } from "./domain.ts";

/** Between two looks at what no event tells, such as an address. */
export const LOOK_MS = 500;
/** Where events tell it: one may be lost with the session. */
const LOOK_BESIDE_EVENTS_MS = 5000;

export interface Changes {
  /** Whether its events are heard. */
  heard: boolean;
  /** Resolves with the next events, or without any when it is time to look, which is after `ms` at most. */
  next(ms?: number): Promise<FleetEvent[]>;
  end(): void;
}

/** Resolves once the domain's events are heard, or cannot be. `domain`: the words for `--domain`. */
export async function watchChanges(ctx: Context, domain: string): Promise<Changes> {
  const pause = (ms: number) => sleep(ms, undefined, { signal: ctx.signal }).catch(() => {});
  const looking: Changes = {
    heard: false,
    async next(ms = LOOK_MS) {
      await pause(Math.min(ms, LOOK_MS));
      return [];
    },
    end() {},
  };
  if (!ctx.follow) return looking;
  const name = nameIn(await ctx.virsh(["dominfo", "--domain", domain])) ?? domain;
  const listener = await ctx.follow({ kinds: ["domain"], names: [name] });
  await listener.ready;
  const first = listener.take();
  if (!first.some(({ event }) => event === "resync")) {
    listener.close();
    return looking;
  }
  return {
    heard: true,
    async next(ms = LOOK_BESIDE_EVENTS_MS) {
      const late = new AbortController();
      const signal = AbortSignal.any([late.signal, ctx.signal]);
      const longest = Math.min(ms, LOOK_BESIDE_EVENTS_MS);
      const time = sleep(longest, false, { signal }).catch(() => false);
      // one that was cut off hears nothing more: then the time alone counts
      await Promise.race([listener.some().then((any) => any || time), time]);
      late.abort();
      return listener.take();
    },
    end: () => listener.close(),
  };
}
