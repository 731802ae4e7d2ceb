/** What a viewer is told of a domain whose console has ended: heard from a virsh that tells what the tests want. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { watchLibvirt } from "../../../runtime/console/lost.ts";
import { watchStop } from "../../../runtime/console/stopped.ts";
import { eventTeller, type Teller } from "../../fixtures/event-teller.ts";

const { PATH } = process.env;
process.env.LIBVIRT_DEFAULT_URI = "qemu:///system";
let teller: Teller;
let end: AbortController;
beforeAll(() => {
  teller = eventTeller();
  process.env.PATH = `${teller.folder}:${PATH}`;
});
beforeEach(() => {
  end = new AbortController();
});
afterEach(() => end.abort());
afterAll(() => teller.remove());

test.each([
  ["Stopped Migrated", "moved: the domain has moved to another hypervisor; open its console there"],
  ["Stopped Destroyed", "the domain has stopped: destroyed"],
  ["Stopped Crashed", "the domain has stopped: crashed"],
])("%s", async (detail, told) => {
  const why = watchStop("local", "web", end.signal);
  await watchLibvirt("local", end.signal).ready;
  teller.lifecycle("other", "Stopped Shutdown");
  teller.lifecycle("web", "Suspended Paused");
  teller.lifecycle("web", detail);
  expect(await why()).toBe(told);
  expect(told.length).toBeLessThan(124); // of a WebSocket's reason
});

test("where libvirt tells of none, the viewer waits a second at most", async () => {
  const why = watchStop("local", "web", end.signal);
  expect(await why()).toBeUndefined();
});
