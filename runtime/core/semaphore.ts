/** A number of places, and a bounded queue for them: first come, first served. */
import { HyperError } from "./errors.ts";

export class Semaphore {
  #free: number;
  #queue: number;
  #wait: number;
  #what: string;
  #waiting: (() => void)[] = [];

  /** `wait`: milliseconds that a call stands in the queue; `what`: the places' name, for people. */
  constructor(places: number, queue: number, wait: number, what = "place") {
    this.#free = places;
    this.#queue = queue;
    this.#wait = wait;
    this.#what = what;
  }

  get free(): boolean {
    return this.#free > 0;
  }

  /** Resolves to what gives the place back. Throws `busy` when the queue is full, or too slow. */
  async enter(signal?: AbortSignal): Promise<() => void> {
    if (this.free) return this.count();
    if (this.#waiting.length >= this.#queue) {
      throw busy(`${this.#waiting.length} calls are waiting already`);
    }
    return new Promise((resolve, reject) => {
      const settle = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", gone);
      };
      const turn = () => {
        settle();
        resolve(this.count());
      };
      const leave = (error: HyperError) => {
        this.#waiting = this.#waiting.filter((other) => other !== turn);
        settle();
        reject(error);
      };
      const gone = () => leave(new HyperError("cancelled", "the caller went away"));
      const late = `no ${this.#what} became free within ${this.#wait / 1000} s; the call was not begun`;
      const timer = setTimeout(() => leave(busy(late)), this.#wait);
      signal?.addEventListener("abort", gone, { once: true });
      this.#waiting.push(turn);
    });
  }

  /** Take a place, there or not. */
  count(): () => void {
    this.#free--;
    return () => {
      this.#free++;
      if (this.free) this.#waiting.shift()?.();
    };
  }
}

const busy = (text: string) => new HyperError("busy", text, { details: { retry_after: 1 } });
