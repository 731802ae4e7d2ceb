/** Streams that are told from time to time: all by one timer, which is there while one of them is. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { onHeartbeat } from "../../../runtime/http/heartbeat.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
afterEach(() => void vi.useRealTimers());

test("300 streams have one timer, and each is told once a beat until it ends", async () => {
  const told: number[] = [];
  const ends = Array.from({ length: 300 }, (_, i) =>
    onHeartbeat(async () => {
      told[i] = (told[i] ?? 0) + 1;
    }),
  );
  expect(vi.getTimerCount()).toBe(1);
  await vi.advanceTimersByTimeAsync(15_000);
  await vi.waitFor(() => expect(told).toEqual(Array(300).fill(1)));
  for (const end of ends.slice(1)) end();
  await vi.advanceTimersByTimeAsync(15_000);
  expect(told.slice(0, 2)).toEqual([2, 1]);
  ends[0]?.();
  expect(vi.getTimerCount()).toBe(0);
});
