/** A few sessions that many calls share: opened on demand, one call each at a time, first come first served. */
import { HyperError } from "../core/errors.ts";
import type { Session } from "./session.ts";

export interface PoolSettings {
  /** Sessions open at once. */
  max: number;
  /** Calls that may wait for one. */
  queue: number;
  /** Milliseconds until an unused session is closed. */
  idle: number;
}

const closed = () => new HyperError("cancelled", "the connection to this hypervisor was closed");

interface Waiter {
  resolve(session: Session | undefined): void;
}

export class Pool {
  #open: () => Promise<Session>;
  #settings: PoolSettings;
  #idle: { session: Session; timer: NodeJS.Timeout | undefined }[] = [];
  #waiting: Waiter[] = [];
  #count = 0;
  #closed = false;

  constructor(open: () => Promise<Session>, settings: PoolSettings) {
    this.#open = open;
    this.#settings = settings;
  }

  /** Run `work` on a session that is its own until it ends. `timeout` (ms) bounds the wait for one. */
  async use<T>(
    work: (session: Session) => Promise<T>,
    timeout: number,
    signal?: AbortSignal,
  ): Promise<T> {
    const session = await this.#take(timeout, signal);
    try {
      if (this.#closed) throw closed(); // while it was opened
      return await work(session);
    } finally {
      this.#give(session);
    }
  }

  /** Sessions at work or being opened, sessions that are free, and calls that wait for one. */
  get size() {
    const idle = this.#idle.length;
    return { busy: this.#count - idle, idle, waiting: this.#waiting.length };
  }

  /** One was found dead, so the other idle ones may be too: what comes next gets a fresh one. */
  drop() {
    for (const { session } of this.#idle) session.kill();
  }

  /** End what is idle, and take no more calls. What is at work ends with the transport. */
  close() {
    this.#closed = true;
    for (const waiter of this.#waiting.splice(0)) waiter.resolve(undefined);
    for (const { session, timer } of this.#idle.splice(0)) {
      clearTimeout(timer);
      session.kill();
    }
  }

  async #take(timeout: number, signal?: AbortSignal): Promise<Session> {
    const free = this.#pop();
    if (free) return free;
    if (this.#count < this.#settings.max) {
      this.#count++;
    } else {
      const handed = await this.#wait(timeout, signal);
      if (handed) return handed;
    }
    try {
      if (this.#closed) throw closed();
      return await this.#open();
    } catch (error) {
      this.#released();
      throw error;
    }
  }

  /** The one used last is warmest; those that died while idle are dropped here. */
  #pop(): Session | undefined {
    for (let entry = this.#idle.pop(); entry; entry = this.#idle.pop()) {
      clearTimeout(entry.timer);
      if (entry.session.alive) return entry.session;
      this.#count--;
    }
    return undefined;
  }

  /** Resolves to a session, or to nothing when its place was handed over: the waiter then opens one. */
  #wait(timeout: number, signal?: AbortSignal): Promise<Session | undefined> {
    if (this.#waiting.length >= this.#settings.queue) {
      throw new HyperError(
        "busy",
        `${this.#waiting.length} calls are waiting for this hypervisor already`,
      );
    }
    return new Promise((resolve, reject) => {
      const leave = (error: HyperError) => {
        this.#waiting = this.#waiting.filter((other) => other !== waiter);
        settle();
        reject(error);
      };
      const onAbort = () => leave(new HyperError("cancelled", "the caller went away"));
      const late = `the hypervisor was busy for ${timeout / 1000} s; the call was not begun`;
      const timer = setTimeout(() => leave(new HyperError("busy", late)), timeout);
      const settle = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
      };
      const waiter: Waiter = {
        resolve(session) {
          settle();
          resolve(session);
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiting.push(waiter);
    });
  }

  #give(session: Session) {
    if (this.#closed) session.kill();
    if (!session.alive) return this.#released();
    const waiter = this.#waiting.shift();
    if (waiter) return waiter.resolve(session);
    const entry = { session, timer: undefined as NodeJS.Timeout | undefined };
    entry.timer = setTimeout(() => {
      this.#idle = this.#idle.filter((other) => other !== entry);
      this.#count--;
      session.kill();
    }, this.#settings.idle);
    entry.timer.unref();
    this.#idle.push(entry);
  }

  /** A place has become free: the next in line has it, and opens a session of its own. */
  #released() {
    const waiter = this.#waiting.shift();
    if (waiter) waiter.resolve(undefined);
    else this.#count--;
  }
}
