/** When a hypervisor that was not reached is tried again: after a pause that grows with each failure. */
import { HyperError } from "../../core/errors.ts";
import { HELD_BACK_MS, isHeldBack } from "./login-errors.ts";

const MAX_PAUSE_MS = 30_000;

export class BackOff {
  #failures = 0;
  #retryAt = 0;
  #reason = "";

  /** Throws `unreachable` until the pause has passed. */
  check() {
    const wait = this.#retryAt - Date.now();
    if (wait <= 0) return;
    const tried = this.#failures === 1 ? "once" : `${this.#failures} times`;
    const text = `${this.#reason} (tried ${tried}; the next attempt is in ${Math.ceil(wait / 1000)} s)`;
    throw new HyperError("unreachable", text);
  }

  failed({ message, cause }: Error) {
    this.#failures++;
    this.#reason = message;
    const pause = Math.min(MAX_PAUSE_MS, 500 * 2 ** Math.min(this.#failures, 6));
    const spread = pause * (0.5 + Math.random() / 2); // so that many hosts are not tried at once
    this.#retryAt = Date.now() + Math.max(spread, isHeldBack(cause) ? HELD_BACK_MS : 0);
  }

  succeeded() {
    this.#failures = 0;
    this.#retryAt = 0;
  }
}
