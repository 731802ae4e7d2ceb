/** Rates and the time that is left, from samples. */
import { expect, test } from "vitest";
import { estimate, recent, type Sample } from "../../../runtime/core/eta.ts";

const steady = (seconds: number, perSecond: number, from = 0): Sample[] =>
  Array.from({ length: seconds + 1 }, (_, i) => ({ at: from + i * 1000, done: i * perSecond }));

test("steady work: its rate and the rest", () => {
  expect(estimate(steady(10, 2), 100, 10_000)).toEqual({ rate: 2, secondsLeft: 40 });
});

test.each<[string, Sample[], number]>([
  ["nothing is known", [], 5000],
  ["a single sample is new", [{ at: 4000, done: 3 }], 5000],
  ["all samples are new", steady(1, 5), 1000],
])("nobody knows while %s", (_what, samples, now) => {
  expect(estimate(samples, 100, now)).toEqual({ rate: null, secondsLeft: null });
});

test("work that stands still has no time left to tell", () => {
  const still = [0, 1, 2, 3].map((i) => ({ at: i * 1000, done: 7 }));
  expect(estimate(still, 100, 3000)).toEqual({ rate: 0, secondsLeft: null });
});

test("the rate falls while no sample comes", () => {
  const samples = steady(10, 2);
  const left = [10, 20, 40].map((s) => estimate(samples, 100, s * 1000).secondsLeft ?? 0);
  expect(left).toEqual([...left].sort((a, b) => a - b));
  expect(left[2]).toBeGreaterThan(3 * (left[0] ?? 0));
});

test("the last minute counts", () => {
  const slow = steady(100, 0.1);
  const fast = steady(60, 1, 100_000).map(({ at, done }) => ({ at, done: done + 10 }));
  expect(estimate([...slow, ...fast], 100, 160_000)).toEqual({ rate: 1, secondsLeft: 30 });
});

test("work that tells of itself rarely is judged by its last two samples", () => {
  const samples = [0, 1, 2, 3].map((i) => ({ at: i * 120_000, done: i }));
  const { rate, secondsLeft } = estimate(samples, 100, 360_000);
  expect(rate).toBeCloseTo(1 / 120);
  expect(secondsLeft).toBeCloseTo(97 * 120);
});

test("what was done before work begins anew counts no more", () => {
  const samples = [...steady(10, 5), ...steady(10, 1, 11_000)];
  expect(estimate(samples, 100, 21_000)).toEqual({ rate: 1, secondsLeft: 90 });
});

test("old samples can be forgotten without another estimate", () => {
  const samples = steady(300, 0.3);
  const kept = recent(samples, 300_000);
  expect(kept.length).toBeLessThan(70);
  expect(estimate(kept, 100, 300_000)).toEqual(estimate(samples, 100, 300_000));
});

test("more than the whole leaves no time", () => {
  expect(estimate(steady(10, 20), 100, 10_000).secondsLeft).toBe(0);
});
