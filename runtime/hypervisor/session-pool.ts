/** The warm sessions of one lane: opened on demand, one call each at a time, closed when idle. */
import { HyperError } from "../core/errors.ts";
import { Semaphore } from "../core/semaphore.ts";
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

export class Pool {
  #open: () => Promise<Session>;
  #idleMs: number;
  /** A call holds a slot while it uses or opens a session. An idle session is taken first, so `max` bounds both. */
  #slots: Semaphore;
  #idle: { session: Session; timer: NodeJS.Timeout }[] = [];
  #closed = false;

  constructor(open: () => Promise<Session>, { max, queue, idle }: PoolSettings) {
    this.#open = open;
    this.#idleMs = idle;
    const slotName = "a free session on this hypervisor";
    this.#slots = new Semaphore({ slots: max, queue, waitMs: Number.POSITIVE_INFINITY, slotName });
  }

  /** Runs `work` on a session that no other call uses meanwhile. `timeout` (milliseconds) bounds the wait for it. */
  async use<T>(
    work: (session: Session) => Promise<T>,
    timeout: number,
    signal?: AbortSignal,
  ): Promise<T> {
    if (this.#closed) throw closed();
    const release = await this.#slots.acquire(signal, timeout);
    try {
      if (this.#closed) throw closed(); // during the wait
      const session = this.#takeIdle() ?? (await this.#open());
      try {
        if (this.#closed) throw closed(); // while the session was opened
        return await work(session);
      } finally {
        this.#keep(session);
      }
    } finally {
      release();
    }
  }

  /** Sessions in use or being opened, idle sessions, and calls that wait for one. */
  get size() {
    const { taken, waiting } = this.#slots.size;
    return { busy: taken, idle: this.#idle.length, waiting };
  }

  /** Ends the idle sessions. After one was found dead the others may be too, and the next call opens a fresh one. */
  drop() {
    for (const { session } of this.#idle) session.kill();
  }

  /** Ends the idle sessions and takes no more calls. Sessions in use end with the transport. */
  close() {
    this.#closed = true;
    this.#slots.rejectAll(closed());
    for (const { session, timer } of this.#idle.splice(0)) {
      clearTimeout(timer);
      session.kill();
    }
  }

  /** The session used last, which is the warmest. Those that died while idle are forgotten. */
  #takeIdle(): Session | undefined {
    for (let entry = this.#idle.pop(); entry; entry = this.#idle.pop()) {
      clearTimeout(entry.timer);
      if (entry.session.alive) return entry.session;
    }
    return undefined;
  }

  /** Keeps a session that still works for the next call. */
  #keep(session: Session) {
    if (this.#closed) session.kill();
    if (!session.alive) return;
    const expire = () => {
      this.#idle = this.#idle.filter((other) => other !== entry);
      session.kill();
    };
    const entry = { session, timer: setTimeout(expire, this.#idleMs) };
    entry.timer.unref();
    this.#idle.push(entry);
  }
}
