/** A bounded number of places, first come first served; while somebody waits, those that need theirs least are asked to go. */
import { HyperError } from "../errors.ts";

/** Milliseconds between two such requests. */
const AGAIN = 50;

export class Room {
  #free: number;
  #patience: number;
  #waiting: (() => void)[] = [];
  /** Called again and again while somebody waits. */
  onFull = () => {};

  /** `patience`: milliseconds until a wait is given up. */
  constructor(places: number, patience = 30_000) {
    this.#free = places;
    this.#patience = patience;
  }

  /** Resolves to what gives the place back. Throws `busy`. */
  async take(): Promise<() => void> {
    if (this.#free > 0) this.#free--;
    else await this.#wait();
    let given = false;
    return () => {
      if (given) return;
      given = true;
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    };
  }

  #wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = () => {
        clearInterval(ask);
        clearTimeout(timer);
      };
      const enter = () => {
        settle();
        resolve();
      };
      const ask = setInterval(() => this.onFull(), AGAIN);
      const timer = setTimeout(() => {
        settle();
        this.#waiting = this.#waiting.filter((other) => other !== enter);
        const text = `all SSH channels of this hypervisor were busy for ${this.#patience / 1000} s; the call was not begun`;
        reject(new HyperError("busy", text));
      }, this.#patience);
      this.#waiting.push(enter);
      this.onFull();
    });
  }
}
