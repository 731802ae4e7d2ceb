/** How much one caller and one hypervisor get: calls a second, and calls at work at once. */

import { HyperError } from "../core/errors.ts";
import { Semaphore } from "../core/semaphore.ts";
import { settings } from "../core/settings.ts";

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
  const text = `more than ${rate} calls in a second; try again in 1 s`;
  throw new HyperError("rate_limited", text, { details: { retry_after: 1 } });
}

/** Looking and changing are counted apart, so that a hundred long copies leave room to look. */
export type Kind = "read" | "change";

const gates = { read: new Map<string, Semaphore>(), change: new Map<string, Semaphore>() };

/** Of one hypervisor, or of all. */
function gate(kind: Kind, host = ""): Semaphore {
  const found = gates[kind].get(host);
  if (found) return found;
  const { per_host, total, queue, wait } = settings().limits;
  const made = new Semaphore({ slots: host ? per_host : total, queue, waitMs: wait * 1000 });
  gates[kind].set(host, made);
  return made;
}

/** One call's places on hypervisors, from its first command there until it leaves. */
export class Admission {
  #kind: Kind;
  #signal: AbortSignal;
  #entered = new Map<string, Promise<void> | undefined>();
  #held: (() => void)[] = [];
  #left = false;

  constructor(kind: Kind, signal: AbortSignal) {
    this.#kind = kind;
    this.#signal = signal;
  }

  /** Resolves when there is a place, nothing when there is one now; throws `busy`. */
  enter(host: string): Promise<void> | undefined {
    if (this.#entered.has(host)) return this.#entered.get(host);
    // a call on several counts on each, and waits for the first alone: two would wait for each other
    const first = this.#entered.size === 0;
    const [own, all] = [gate(this.#kind, host), gate(this.#kind)];
    const wait = first && !(own.free && all.free) ? this.#wait([own, all]) : undefined;
    if (!wait) this.#hold(own.take());
    if (!wait && first) this.#hold(all.take());
    this.#entered.set(host, wait);
    return wait;
  }

  leave() {
    this.#left = true;
    for (const leave of this.#held.splice(0)) leave();
  }

  async #wait(gates: Semaphore[]) {
    for (const one of gates) this.#hold(await one.acquire(this.#signal));
  }

  /** A place that comes too late is given back. */
  #hold(leave: () => void) {
    if (this.#left) leave();
    else this.#held.push(leave);
  }
}
