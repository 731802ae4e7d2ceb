/** How much one caller and one hypervisor get: calls a second, and calls at work at once. */
import { RateLimiterMemory, type RateLimiterRes } from "rate-limiter-flexible";
import { settings } from "./context.ts";
import { HyperError } from "./errors.ts";
import { Gate } from "./gate.ts";

let limiter: RateLimiterMemory | undefined;

/** Throws `rate_limited` for a caller, or an address, that has had its calls of this second. */
export async function countCall(caller: string) {
  const { rate } = settings().limits;
  limiter ??= new RateLimiterMemory({ points: rate, duration: 1 });
  await limiter.consume(caller).catch((spent: RateLimiterRes) => {
    const retry_after = Math.ceil(spent.msBeforeNext / 1000) || 1;
    const text = `more than ${rate} calls in a second; try again in ${retry_after} s`;
    throw new HyperError("rate_limited", text, { details: { retry_after } });
  });
}

/** Looking and changing are counted apart, so that a hundred long copies leave room to look. */
export type Kind = "read" | "change";

const gates = new Map<string, Gate>();

function gate(kind: Kind, host?: string): Gate {
  const { per_host, total, queue, wait } = settings().limits;
  const key = `${kind} ${host ?? ""}`;
  const found = gates.get(key) ?? new Gate(host ? per_host : total, queue, wait * 1000);
  gates.set(key, found);
  return found;
}

/** One call's places on hypervisors, from its first command there until it leaves. */
export interface Visit {
  /** Resolves when there is a place; throws `busy`. */
  enter(host: string): Promise<void>;
  leave(): void;
}

export function visit(kind: Kind, signal: AbortSignal): Visit {
  const entered = new Map<string, Promise<void>>();
  const held: (() => void)[] = [];
  let left = false;
  const hold = (leave: () => void) => {
    if (left) leave();
    else held.push(leave);
  };
  const enter = async (host: string, first: boolean) => {
    // a call on several counts on each, and waits for the first alone: two would wait for each other
    if (!first) return hold(gate(kind, host).count());
    hold(await gate(kind, host).enter(signal));
    hold(await gate(kind).enter(signal));
  };
  return {
    enter(host) {
      const found = entered.get(host) ?? enter(host, entered.size === 0);
      entered.set(host, found);
      return found as Promise<void>;
    },
    leave() {
      left = true;
      for (const leave of held.splice(0)) leave();
    },
  };
}
