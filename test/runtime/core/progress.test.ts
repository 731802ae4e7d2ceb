/** Progress never falls, is 100 only at the end, and is null where nobody knows. */
import { describe, expect, test } from "vitest";
import { guarded, inParts, type ProgressUpdate } from "../../../runtime/core/progress.ts";

/** Random numbers that are the same in each run. */
function random(seed: number) {
  let state = seed;
  return () => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return state / 2 ** 31;
  };
}

function heard() {
  const updates: ProgressUpdate[] = [];
  return { updates, listener: (update: ProgressUpdate) => void updates.push(update) };
}

describe("a guarded listener", () => {
  test("hears no lower percent, none for what nobody knows, and 100 only at the end", () => {
    const { updates, listener } = heard();
    const { progress, end } = guarded(listener);
    for (const percent of [10, 5, null, undefined, Number.NaN, 40.129, 100])
      progress({ phase: "copying", percent });
    end(true);
    const percents = updates.map(({ percent }) => percent);
    expect(percents).toEqual([10, 10, null, null, null, 40.12, 99.99, 100]);
    expect(updates.at(-1)?.phase).toBe("done");
  });

  test("hears nothing after the end, and no 100 of a call that failed or told nothing", () => {
    const { updates, listener } = heard();
    const failed = guarded(listener);
    failed.progress({ phase: "copying", percent: 100 });
    failed.end(false);
    failed.end(true);
    failed.progress({ phase: "copying", percent: 50 });
    guarded(listener).end(true);
    expect(updates).toEqual([{ phase: "copying", percent: 99.99 }]);
  });

  test("that throws does not make the work fail", () => {
    const { progress, end } = guarded(() => {
      throw new Error("full disk");
    });
    progress({ phase: "copying", percent: 1 });
    end(true);
  });
});

describe("work in parts", () => {
  test("is weighted by bytes", () => {
    const { updates, listener } = heard();
    const [small, large] = inParts(listener, [100, 300], "bytes");
    small?.({ phase: "a", percent: 50 });
    large?.({ phase: "b", percent: 50 });
    small?.({ phase: "a", percent: 100 });
    expect(updates).toEqual([
      { phase: "a", percent: 12.5, bytes: 50, total: 400 },
      { phase: "b", percent: 50, bytes: 200, total: 400 },
      { phase: "a", percent: 62.5, bytes: 250, total: 400 },
    ]);
  });

  test("is unknown until a part knows, and tells no bytes while a part does not know", () => {
    const { updates, listener } = heard();
    const [one, other] = inParts(listener, [100, 100], "bytes");
    one?.({ phase: "a", percent: null });
    other?.({ phase: "b", percent: 50 });
    one?.({ phase: "a", percent: 100 });
    expect(updates).toEqual([
      { phase: "a", percent: null },
      { phase: "b", percent: 25 },
      { phase: "a", percent: 75, bytes: 150, total: 200 },
    ]);
  });

  test("of no weight at all counts each part alike", () => {
    const { updates, listener } = heard();
    inParts(listener, [0, 0])[0]?.({ phase: "a", percent: 100 });
    expect(updates).toEqual([{ phase: "a", percent: 50 }]);
  });

  test.each(Array.from({ length: 50 }, (_, i) => i + 1))("never falls (%i)", (seed) => {
    const next = random(seed);
    const { updates, listener } = heard();
    const { progress, end } = guarded(listener);
    const weights = Array.from({ length: 1 + Math.floor(next() * 5) }, () =>
      Math.floor(next() * 1e12),
    );
    const parts = inParts(progress, weights, "bytes");
    for (let i = 0; i < 200; i++) {
      const part = parts[Math.floor(next() * parts.length)];
      // parts in parts, unknown, falling and wrong numbers
      const [inner] = part && next() < 0.5 ? inParts(part, [1, 2]) : [part];
      inner?.({ phase: "x", percent: next() < 0.2 ? null : next() * 150 - 20 });
    }
    end(true);
    const known = updates.flatMap(({ percent }) => percent ?? []);
    expect(known).toEqual([...known].sort((a, b) => a - b));
    expect(known.slice(0, -1).every((one) => one >= 0 && one < 100)).toBe(true);
    expect(known.at(-1)).toBe(100);
    for (const { bytes = 0, total = 0 } of updates) expect(bytes).toBeLessThanOrEqual(total);
  });
});
