/** Places and their queue. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { HyperError } from "../../../runtime/core/errors.ts";
import { Semaphore } from "../../../runtime/core/semaphore.ts";

const never = new AbortController().signal;
const make = (slots: number, queue: number, waitMs: number) =>
  new Semaphore({ slots, queue, waitMs });

describe("a semaphore", () => {
  test("lets in as many as it has places, and the others in their order", async () => {
    const semaphore = make(2, 10, 1000);
    const leave = [await semaphore.acquire(never), await semaphore.acquire(never)];
    const order: number[] = [];
    const waiting = [1, 2, 3].map((n) =>
      semaphore.acquire(never).then((out) => {
        order.push(n);
        leave.push(out);
      }),
    );
    await sleep(5);
    expect(order).toEqual([]);
    leave[0]?.();
    await sleep(5);
    expect(order).toEqual([1]);
    leave[1]?.();
    leave[2]?.();
    await Promise.all(waiting);
    expect(order).toEqual([1, 2, 3]);
  });

  test("a place that is given back goes to who waits, not to who comes just then", async () => {
    const semaphore = make(1, 10, 1000);
    const leave = await semaphore.acquire(never);
    let [first, second] = [false, false];
    void semaphore.acquire(never).then(() => {
      first = true;
    });
    leave();
    void semaphore.acquire(never).then(() => {
      second = true;
    });
    await sleep(5);
    expect([first, second]).toEqual([true, false]);
  });

  test("refuses what its queue does not hold, and what waits too long", async () => {
    const semaphore = make(1, 1, 20);
    const leave = await semaphore.acquire(never);
    const waits = semaphore.acquire(never);
    await expect(semaphore.acquire(never)).rejects.toMatchObject({
      code: "busy",
      details: { retry_after: 1 },
    });
    await expect(waits).rejects.toMatchObject({
      code: "busy",
      message: "timed out after 0.02 s waiting for a free slot; nothing was started",
    });
    leave();
    (await semaphore.acquire(never))();
  });

  test("a caller that goes away leaves the queue", async () => {
    const semaphore = make(1, 1, 1000);
    const leave = await semaphore.acquire(never);
    const caller = new AbortController();
    const waits = semaphore.acquire(caller.signal);
    caller.abort();
    await expect(waits).rejects.toMatchObject({ code: "cancelled" });
    leave();
    (await semaphore.acquire(never))();
  });

  test("a caller that has gone already takes no slot", async () => {
    const semaphore = make(1, 1, 1000);
    await expect(semaphore.acquire(AbortSignal.abort())).rejects.toMatchObject({
      code: "cancelled",
    });
    (await semaphore.acquire(never))();
  });

  test("all who wait can be rejected; the slots stay", async () => {
    const semaphore = make(1, 2, 1000);
    const leave = await semaphore.acquire(never);
    const waiting = [semaphore.acquire(never), semaphore.acquire(never)];
    expect(semaphore.size).toEqual({ taken: 1, waiting: 2 });
    semaphore.rejectAll(new HyperError("cancelled", "closed"));
    for (const one of waiting) await expect(one).rejects.toThrow("closed");
    leave();
    (await semaphore.acquire(never))();
    expect(semaphore.size).toEqual({ taken: 0, waiting: 0 });
  });

  test("who is counted without waiting takes a place that others then wait for", async () => {
    const semaphore = make(1, 1, 20);
    const first = semaphore.take();
    const second = semaphore.take();
    first();
    await expect(semaphore.acquire(never)).rejects.toMatchObject({ code: "busy" });
    second();
    (await semaphore.acquire(never))();
  });
});
