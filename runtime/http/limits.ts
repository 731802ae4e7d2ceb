/** How much one caller and one hypervisor get: calls a second, and calls at work at once. */

import { HyperError } from "../core/errors.ts";
import { Semaphore } from "../core/semaphore.ts";
import { settings } from "../core/settings.ts";

/** The calls of the second that began then, by caller. */
let second = { began: Number.NEGATIVE_INFINITY, calls: new Map<string, number>() };

/** Throws `rate_limited` for a caller, or an address, that has had its calls of this second. */
export function countCall(caller: string, rate: number) {
  const now = performance.now();
  if (now - second.began >= 1000) second = { began: now, calls: new Map() };
  const count = (second.calls.get(caller) ?? 0) + 1;
  second.calls.set(caller, count);
  if (count <= rate) return;
  const text = `more than ${rate} calls in a second; try again in 1 s`;
  throw new HyperError("rate_limited", text, { details: { retry_after: 1 } });
}

/** Reads and changes are counted apart, so that a hundred long copies leave room to look. */
export type Kind = "read" | "change";

const semaphores = { read: new Map<string, Semaphore>(), change: new Map<string, Semaphore>() };

/** Of one hypervisor, or, without a host, of all together. */
function semaphore(kind: Kind, host = ""): Semaphore {
  const known = semaphores[kind].get(host);
  if (known) return known;
  const { per_host, total, queue, wait } = settings().limits;
  const places = new Semaphore({ slots: host ? per_host : total, queue, waitMs: wait * 1000 });
  semaphores[kind].set(host, places);
  return places;
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

  /** Undefined if the call may start now, else a promise for its turn. Throws `busy`. */
  enter(host: string): Promise<void> | undefined {
    if (this.#entered.has(host)) return this.#entered.get(host);
    // a call on several counts on each, and waits for the first alone: two would wait for each other
    const first = this.#entered.size === 0;
    const [own, all] = [semaphore(this.#kind, host), semaphore(this.#kind)];
    const free = own.free && all.free;
    const turn = first && !free ? this.#wait([own, all]) : undefined;
    if (!turn) this.#held.push(own.take(), ...(first ? [all.take()] : []));
    this.#entered.set(host, turn);
    if (this.#left) this.leave(); // a place that comes too late is given back
    return turn;
  }

  leave() {
    this.#left = true;
    for (const release of this.#held.splice(0)) release();
  }

  async #wait(places: Semaphore[]) {
    for (const semaphore of places) {
      const release = await semaphore.acquire(this.#signal);
      if (this.#left) release();
      else this.#held.push(release);
    }
  }
}
