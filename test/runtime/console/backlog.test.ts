/** What is kept for a viewer of a serial line who takes nothing: within a bound, and not for long. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Backlog } from "../../../runtime/console/backlog.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** One who takes as many pieces as told. */
function viewer(takes: number) {
  const sent: string[] = [];
  const closed: [number, string][] = [];
  const one = {
    sent,
    closed,
    takes,
    send: (data: Uint8Array | string) => {
      sent.push(`${data}`);
      return sent.length < one.takes;
    },
    close: (...how: [number, string]) => void closed.push(how),
  };
  return one;
}

test("what came meanwhile comes in order, once it takes more", () => {
  const one = viewer(2);
  const backlog = new Backlog(one);
  for (const piece of ["a", "b", "c", "d"]) backlog.send(Buffer.from(piece));
  expect([one.sent, backlog.isFull]).toEqual([["a", "b"], true]);
  one.takes = 10;
  backlog.drain();
  backlog.send(Buffer.from("e"));
  expect([one.sent, backlog.isFull]).toEqual([["a", "b", "cd", "e"], false]);
  vi.advanceTimersByTime(60_000);
  expect(one.closed).toEqual([]);
});

test("a guest that floods the line fills no memory: the viewer is cut off with a reason", () => {
  const one = viewer(1);
  const backlog = new Backlog(one);
  const piece = Buffer.alloc(64 * 1024, "x");
  for (let n = 0; n < 160; n++) backlog.send(piece); // 10 MB
  expect(one.closed[0]).toEqual([1013, "more came than could be taken; connect again"]);
});

test("a viewer who takes nothing of little is cut off, too", () => {
  const one = viewer(1);
  const backlog = new Backlog(one);
  backlog.send(Buffer.from("x"));
  vi.advanceTimersByTime(9_999);
  expect(one.closed).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(one.closed).toEqual([[1013, "nothing was taken for 10 s; connect again"]]);
});

test("one who leaves while it waits leaves no timer", () => {
  const backlog = new Backlog(viewer(1));
  backlog.send(Buffer.from("x"));
  backlog.end();
  expect(vi.getTimerCount()).toBe(0);
});
