/** How much one caller and one hypervisor get: calls a second, and calls at work at once. */
import { settings } from "./context.ts";
import { HyperError } from "./errors.ts";
import { Gate } from "./gate.ts";

/** The calls of the second that began then, by caller. */
let second = { began: Number.NEGATIVE_INFINITY, calls: new Map<string, number>() };

/** Throws `rate_limited` for a caller, or an address, that has had its calls of this second. */
export function countCall(caller: string) {
  const { rate } = settings().limits;
  const now = performance.now();
  if (now - second.began >= 1000) second = { began: now, calls: new Map() };
  const count = (second.calls.get(caller) ?? 0) + 1;
  second.calls.set(caller, count);
  if (count <= rate) return;
  const retry_after = 1;
  const text = `more than ${rate} calls in a second; try again in ${retry_after} s`;
  throw new HyperError("rate_limited", text, { details: { retry_after } });
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
  /** Resolves when there is a place, nothing when there is one now; throws `busy`. */
  enter(host: string): Promise<void> | undefined;
  leave(): void;
}

export function visit(kind: Kind, signal: AbortSignal): Visit {
  const entered = new Map<string, Promise<void> | undefined>();
  const held: (() => void)[] = [];
  let left = false;
  const hold = (leave: () => void) => {
    if (left) leave();
    else held.push(leave);
  };
  const wait = async (gates: Gate[]) => {
    for (const one of gates) hold(await one.enter(signal));
  };
  const enter = (host: string) => {
    // a call on several counts on each, and waits for the first alone: two would wait for each other
    const first = entered.size === 0;
    const gates = first ? [gate(kind, host), gate(kind)] : [gate(kind, host)];
    if (first && !gates.every((one) => one.free)) return wait(gates);
    for (const one of gates) hold(one.count());
    return undefined;
  };
  return {
    enter(host) {
      if (!entered.has(host)) entered.set(host, enter(host));
      return entered.get(host);
    },
    leave() {
      left = true;
      for (const leave of held.splice(0)) leave();
    },
  };
}
