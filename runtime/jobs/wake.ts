/** A pause that ends early when somebody has a reason. */
import { setTimeout as sleep } from "node:timers/promises";

export class Wake {
  #early = () => {};

  /** Ends the pause that goes on, or the one that was announced. */
  readonly up = () => this.#early();

  /** Announces a pause: from now on it can be ended, even before it begins. `true` once it has lasted `ms`. */
  announce(): (ms: number) => Promise<boolean> {
    const woken = new Promise<false>((resolve) => {
      this.#early = () => resolve(false);
    });
    return async (ms) => {
      const timer = new AbortController();
      const late = sleep(ms, true, { signal: timer.signal, ref: false }).catch(() => false);
      const lasted = await Promise.race([woken, late]);
      timer.abort();
      return lasted;
    };
  }
}
