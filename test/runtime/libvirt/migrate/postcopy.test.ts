/** The switch to post-copy is asked for in time, and again while libvirt refuses it. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { switching } from "../../../../runtime/libvirt/migrate/postcopy.ts";
import type { Sides } from "../../../../runtime/libvirt/migrate/sides.ts";
import { MigrateWish } from "../../../../runtime/libvirt/migrate/wish.ts";
import { answering } from "../../../fixtures/fake.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const NOT_YET = new HyperError("virsh_failed", "no outgoing migration");

function start(refusals: number, postcopy_after?: number) {
  let left = refusals;
  const fake = answering(() => (left-- > 0 ? NOT_YET : ""));
  const source = { ...fake, log: { info: () => {} } };
  const wish = MigrateWish.parse({ name: "vm", to: "b", live: true, postcopy_after });
  const postcopy = switching({ source, uuid: "u" } as unknown as Sides, wish);
  return { postcopy, calls: fake.calls };
}

test("after its seconds, and again until libvirt does it", async () => {
  const { postcopy, calls } = start(2, 3);
  await vi.advanceTimersByTimeAsync(2900);
  expect(calls).toEqual([]);
  await vi.advanceTimersByTimeAsync(200);
  expect([calls, postcopy.isOn]).toEqual([[["migrate-postcopy", "--domain", "u"]], false]);
  await vi.advanceTimersByTimeAsync(5000);
  expect([calls.length, postcopy.isOn]).toEqual([3, true]);
});

test("not without a wish, and not after the migration's end", async () => {
  const without = start(0);
  const ended = start(9, 1);
  await vi.advanceTimersByTimeAsync(1600);
  expect(ended.calls.length).toBe(2);
  ended.postcopy.end();
  await vi.advanceTimersByTimeAsync(60_000);
  expect([without.calls, ended.calls.length]).toEqual([[], 2]);
});
