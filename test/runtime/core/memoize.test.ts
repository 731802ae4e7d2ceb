/** What is read once for many, and again when it is old or failed. */
import { afterEach, expect, test, vi } from "vitest";
import { memoize } from "../../../runtime/core/memoize.ts";

afterEach(() => vi.restoreAllMocks());

test("read when it is first asked for, and again when it is older than allowed", async () => {
  let now = 1000;
  vi.spyOn(performance, "now").mockImplementation(() => now);
  const read = vi.fn(async () => read.mock.calls.length);
  const value = memoize(read, 50);
  expect(read).not.toHaveBeenCalled();
  expect(await Promise.all([value(), value()])).toEqual([1, 1]);
  now += 50;
  expect(await value()).toBe(1);
  now += 1;
  expect(await value()).toBe(2);
});

test("its age counts from when the reading began", async () => {
  let now = 1000;
  vi.spyOn(performance, "now").mockImplementation(() => now);
  const value = memoize(async () => {
    now += 60;
    return now;
  }, 50);
  expect(await value()).toBe(1060);
  expect(await value()).toBe(1120);
});

test("a failure is every caller's who waited for it, and nobody's after", async () => {
  let fails = true;
  const value = memoize(async () => {
    if (fails) throw new Error("lost");
    return "read";
  }, 50_000);
  const both = await Promise.allSettled([value(), value()]);
  expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  fails = false;
  expect(await value()).toBe("read");
});
