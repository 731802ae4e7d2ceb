/** Places and their queue. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Semaphore } from "../../../runtime/core/semaphore.ts";

const never = new AbortController().signal;

describe("a gate", () => {
  test("lets in as many as it has places, and the others in their order", async () => {
    const gate = new Semaphore(2, 10, 1000);
    const leave = [await gate.enter(never), await gate.enter(never)];
    const order: number[] = [];
    const waiting = [1, 2, 3].map((n) =>
      gate.enter(never).then((out) => {
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
    const gate = new Semaphore(1, 10, 1000);
    const leave = await gate.enter(never);
    let [first, second] = [false, false];
    void gate.enter(never).then(() => {
      first = true;
    });
    leave();
    void gate.enter(never).then(() => {
      second = true;
    });
    await sleep(5);
    expect([first, second]).toEqual([true, false]);
  });

  test("refuses what its queue does not hold, and what waits too long", async () => {
    const gate = new Semaphore(1, 1, 20);
    const leave = await gate.enter(never);
    const waits = gate.enter(never);
    await expect(gate.enter(never)).rejects.toMatchObject({
      code: "busy",
      details: { retry_after: 1 },
    });
    await expect(waits).rejects.toMatchObject({ code: "busy", message: /within 0.02 s/ });
    leave();
    (await gate.enter(never))();
  });

  test("a caller that goes away leaves the queue", async () => {
    const gate = new Semaphore(1, 1, 1000);
    const leave = await gate.enter(never);
    const caller = new AbortController();
    const waits = gate.enter(caller.signal);
    caller.abort();
    await expect(waits).rejects.toMatchObject({ code: "cancelled" });
    leave();
    (await gate.enter(never))();
  });

  test("who is counted without waiting takes a place that others then wait for", async () => {
    const gate = new Semaphore(1, 1, 20);
    const first = gate.count();
    const second = gate.count();
    first();
    await expect(gate.enter(never)).rejects.toMatchObject({ code: "busy" });
    second();
    (await gate.enter(never))();
  });
});
