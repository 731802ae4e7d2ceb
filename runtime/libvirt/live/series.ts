/** One domain's measurements of the last hour: a ring, so that it never grows. */
import { METRICS, type Measured, type Metric } from "./shapes.ts";

export const STEP_SECONDS = 10;
export const STEPS = 3600 / STEP_SECONDS;

/** The number of the step that a moment lies in, since 1970. */
export const stepOf = (ms: number) => Math.floor(ms / 1000 / STEP_SECONDS);

export class Series {
  /** Which step each place holds; another one stands for nothing. */
  #steps = new Int32Array(STEPS);
  #values = Object.fromEntries(
    METRICS.map((metric) => [metric, new Float32Array(STEPS)]),
  ) as Record<Metric, Float32Array>;
  /** The step of the last measurement. */
  last = 0;

  /** The last measurement of a step counts. */
  add(measured: Measured, ms: number) {
    const step = stepOf(ms);
    const at = step % STEPS;
    this.#steps[at] = step;
    this.last = step;
    for (const metric of METRICS) this.#values[metric][at] = measured[metric] ?? Number.NaN;
  }

  /** One value a step, the last `steps` ones, oldest first; null where nobody has looked. */
  read(metric: Metric, ms: number, steps = STEPS): (number | null)[] {
    const last = stepOf(ms);
    return Array.from({ length: steps }, (_, i) => {
      const step = last - steps + 1 + i;
      const at = step % STEPS;
      const value = this.#steps[at] === step ? this.#values[metric][at] : undefined;
      return value === undefined || Number.isNaN(value) ? null : Math.round(value * 10) / 10;
    });
  }
}
