/** How far a call is: what a function tells, what its listener hears, and how parts of the work make up the whole. */

export interface ProgressUpdate {
  /** The present step, for people: "copying disk vda". */
  phase: string;
  /** Of all work of the call that can be measured, 0 to 100; null (or left out) where nobody knows. */
  percent?: number | null | undefined;
  /** Bytes that are done, and of how many; left out where they are not known. */
  bytes?: number | undefined;
  total?: number | undefined;
}

export type Progress = (update: ProgressUpdate) => void;

/** For a call that nobody watches. */
export const unwatched: Progress = () => {};

/** What the last update before the end may say: a call is at 100 when it has ended well, and not before. */
const MOST = 99.99;

/**
 * Guards a listener: the percent that it hears never falls, and is 100 only at the end. `end` is called once, with
 * whether the call went well; later updates, of a look at the hypervisor that was under way, are dropped.
 */
export function guarded(listener: Progress): { progress: Progress; end(done: boolean): void } {
  let highest = 0;
  let last: ProgressUpdate | undefined;
  let ended = false;
  const tell = (update: ProgressUpdate) => {
    try {
      listener(update);
    } catch {
      // whoever watches cannot make the work fail
    }
  };
  return {
    progress({ phase, percent, bytes, total }) {
      if (ended) return;
      const known = typeof percent === "number" && Number.isFinite(percent);
      if (known) highest = Math.max(highest, Math.min(MOST, Math.floor(percent * 100) / 100));
      last = { phase, percent: known ? highest : null, ...sizes(bytes, total) };
      tell(last);
    },
    end(done) {
      if (done && last && !ended) tell({ ...last, phase: "done", percent: 100 });
      ended = true;
    },
  };
}

const sizes = (bytes?: number, total?: number) => ({
  ...(bytes !== undefined && { bytes }),
  ...(total !== undefined && { total }),
});

/**
 * Divides work into parts, which may be done at once. The whole is the mean of what the parts tell, by their weights;
 * nobody knows it until a part tells a percent. Weights in bytes are told, too, as long as every part is known.
 */
export function inParts(progress: Progress, weights: number[], unit?: "bytes"): Progress[] {
  const done = weights.map(() => 0);
  const unknown = new Set<number>();
  let isKnown = false;
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const share = (i: number) => (total > 0 ? (weights[i] ?? 0) / total : 1 / weights.length);
  return weights.map(
    (_, i): Progress =>
      ({ phase, percent }) => {
        if (typeof percent === "number") {
          isKnown = true;
          unknown.delete(i);
          done[i] = Math.max(done[i] ?? 0, Math.min(100, percent));
        } else unknown.add(i);
        const whole = done.reduce((sum, one, part) => sum + one * share(part), 0);
        const hasBytes = unit === "bytes" && total > 0 && unknown.size === 0;
        const bytes = hasBytes ? { bytes: Math.round((total * whole) / 100), total } : {};
        progress({ phase, percent: isKnown ? whole : null, ...bytes });
      },
  );
}
