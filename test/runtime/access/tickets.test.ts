/** Tickets in time: one that is shown too late opens nothing. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { everything } from "../../../runtime/access/caller.ts";
import { issueTicket, readTicket } from "../../../runtime/access/tickets.ts";

const grant = { path: "/console/serial", host: "local", name: "web", view: false };
const issued = () => issueTicket({ ...grant, caller: everything("user", "me") });

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"] }));
afterEach(() => void vi.useRealTimers());

test("a ticket opens its console for 30 s, and not after", () => {
  const [early, late] = [issued(), issued()];
  vi.setSystemTime(Date.now() + 29_999);
  expect(readTicket(early.ticket, grant, true)).toMatchObject(grant);
  vi.setSystemTime(Date.now() + 1);
  expect(() => readTicket(late.ticket, grant, true)).toThrow(/older than 30 s/);
  expect(() => readTicket(early.ticket, grant, true)).toThrow(/was used/);
});

test("those that nobody used make room again", () => {
  for (let n = 0; n < 10_000; n++) issued();
  expect(issued).toThrow(/10000 tickets wait/);
  vi.setSystemTime(Date.now() + 30_000);
  expect(readTicket(issued().ticket, grant, false)).toMatchObject(grant);
});
