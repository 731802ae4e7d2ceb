/** After an absence of the database its workers have the time of a silence to be heard again. */
import { SILENCE_SECONDS } from "./claim.ts";

export class Absence {
  #until = 0;

  note() {
    this.#until = performance.now() + SILENCE_SECONDS * 1000;
  }

  /** Until then the silence of others may have been that of the database. */
  get isOver() {
    return performance.now() >= this.#until;
  }
}
