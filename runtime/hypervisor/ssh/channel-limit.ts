/** The channels that one connection may have; while somebody waits, those that need theirs least are asked to go. */
import { Semaphore } from "../../core/semaphore.ts";

/** Milliseconds between two such requests, and until a wait is given up. */
const AGAIN = 50;
const PATIENCE = 30_000;

export class ChannelLimit {
  #gate: Semaphore;
  /** Called again and again while somebody waits. */
  onFull = () => {};

  constructor(places: number) {
    this.#gate = new Semaphore(places, Number.POSITIVE_INFINITY, PATIENCE, "SSH channel");
  }

  /** Resolves to what gives the place back. Throws `busy`. */
  async take(): Promise<() => void> {
    if (this.#gate.free) return this.#gate.count();
    const place = this.#gate.enter();
    const ask = setInterval(() => this.onFull(), AGAIN);
    this.onFull();
    return place.finally(() => clearInterval(ask));
  }
}
