/** A number of slots and a bounded queue for them, first come, first served. */
import { HyperError } from "./errors.ts";

export interface SemaphoreSettings {
  slots: number;
  /** Calls that may wait for a slot. */
  queue: number;
  /** Milliseconds that a call waits at most. */
  waitMs: number;
  /** What a caller waits for, in messages. @default "a free slot" */
  slotName?: string;
}

interface Waiter {
  admit(): void;
  reject(error: HyperError): void;
}

export class Semaphore {
  #free: number;
  #settings: SemaphoreSettings;
  #waiting: Waiter[] = [];

  constructor(settings: SemaphoreSettings) {
    this.#free = settings.slots;
    this.#settings = settings;
  }

  get free(): boolean {
    return this.#free > 0;
  }

  /** Slots taken, and calls that wait for one. */
  get size() {
    return { taken: this.#settings.slots - this.#free, waiting: this.#waiting.length };
  }

  /** Resolves to the function that gives the slot back. Throws `busy` if the queue is full or the wait too long. */
  async acquire(signal?: AbortSignal, waitMs = this.#settings.waitMs): Promise<() => void> {
    const { queue, slotName = "a free slot" } = this.#settings;
    if (signal?.aborted) throw disconnected();
    if (this.free) return this.take();
    if (this.#waiting.length >= queue) {
      throw busy(`${this.#waiting.length} calls are waiting already for ${slotName}`);
    }
    return new Promise((resolve, reject) => {
      const settle = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
      };
      const waiter: Waiter = {
        admit: () => {
          settle();
          resolve(this.take());
        },
        reject: (error) => {
          this.#waiting = this.#waiting.filter((other) => other !== waiter);
          settle();
          reject(error);
        },
      };
      const onAbort = () => waiter.reject(disconnected());
      const late = `timed out after ${waitMs / 1000} s waiting for ${slotName}; nothing was started`;
      const timer = setTimeout(() => waiter.reject(busy(late)), waitMs);
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiting.push(waiter);
    });
  }

  /** Takes a slot even if none is free; later calls wait until it is given back. */
  take(): () => void {
    this.#free--;
    return () => {
      this.#free++;
      if (this.free) this.#waiting.shift()?.admit();
    };
  }

  /** Rejects every waiting call. */
  rejectAll(error: HyperError) {
    for (const waiter of [...this.#waiting]) waiter.reject(error);
  }
}

const disconnected = () => new HyperError("cancelled", "the client disconnected");

const busy = (text: string) => new HyperError("busy", text, { details: { retry_after: 1 } });
