/** How fast work goes, and how long it still takes, from samples of how much is done. */

export interface Sample {
  /** Milliseconds of any clock that only goes forward. */
  at: number;
  /** Percent, or bytes. */
  done: number;
}

export interface Estimate {
  /** Of `done` in a second; null where nobody knows yet. */
  rate: number | null;
  secondsLeft: number | null;
}

/** The rate is that of the last minute: work that has slowed down lately shows it. */
const WINDOW_MS = 60_000;
/** Two samples that lie closer together tell of the clock more than of the work. */
const SHORTEST_MS = 2000;

/** The estimate at `now`, in the course of work that ends at `total`. */
export function estimate(samples: Sample[], total: number, now: number): Estimate {
  const [from] = recent(samples, now);
  const last = samples.at(-1);
  // by the present time, not that of the last sample, so that the rate of work that stands still falls
  if (!from || !last || now - from.at < SHORTEST_MS) return { rate: null, secondsLeft: null };
  const rate = ((last.done - from.done) * 1000) / (now - from.at);
  const left = Math.max(0, total - last.done);
  return { rate, secondsLeft: rate > 0 ? left / rate : null };
}

/** The samples that still count at `now`: from the last one before the window on, for work may tell of itself rarely. */
export function recent(samples: Sample[], now: number): Sample[] {
  const before = samples.findLastIndex(({ at }) => at <= now - WINDOW_MS);
  const fallen = samples.findLastIndex(({ done }, i) => done < (samples[i - 1]?.done ?? done)); // begun anew
  return samples.slice(Math.max(before, fallen, 0));
}
