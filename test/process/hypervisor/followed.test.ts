/** Listeners in this process, while hypervisors come, go and become others. Their virsh tells what the tests want. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, test } from "vitest";
import { Hearing } from "../../../runtime/alerts/hear.ts";
import type { FleetEvent } from "../../../runtime/events/fleet-event.ts";
import { applyHosts } from "../../../runtime/hypervisor/added-hosts.ts";
import { follow } from "../../../runtime/hypervisor/events/follow.ts";
import { listening } from "../../../runtime/hypervisor/events/source.ts";
import { closeHypervisors } from "../../../runtime/hypervisor/registry.ts";
import { eventTeller } from "../../fixtures/event-teller.ts";
import { until } from "../../fixtures/fake.ts";

const folder = mkdtempSync(join(tmpdir(), "followed-"));
const teller = eventTeller();
process.env.PATH = `${teller.folder}:${process.env.PATH}`;
process.env.HYPERSDK_CONFIG = join(folder, "hypersdk.toml");
writeFileSync(process.env.HYPERSDK_CONFIG, '[hosts.local]\nuri = "qemu:///system"\n');

const day = listening.ms;
const ends: (() => void)[] = [];
afterEach(async () => {
  listening.ms = day;
  for (const end of ends.splice(0)) end();
  await applyHosts([]);
  await closeHypervisors();
});
afterAll(() => {
  teller.remove();
  rmSync(folder, { recursive: true });
});

const other = (uri = "qemu:///system") => ({ alias: "b", uri, sudo: false });

/** Collects what one listener hears. */
function hear(hosts?: string[], after?: string) {
  const stop = new AbortController();
  ends.push(() => stop.abort());
  const heard: FleetEvent[] = [];
  const listener = follow({ kinds: ["domain", "hypervisor"], hosts, after }, stop.signal);
  const one = {
    heard,
    ended: false,
    words: () => heard.map(({ host, event }) => `${host} ${event}`),
  };
  void (async () => {
    for await (const event of listener) heard.push(event);
    one.ended = true;
  })();
  return one;
}

test("one who hears all hypervisors is ended when another comes, and hears it then", async () => {
  const [all, local] = [hear(), hear(["local"])];
  await until(() => all.heard.length > 0 && local.heard.length > 0);
  await applyHosts([other()]);
  await until(() => all.ended);
  const again = hear(undefined, all.heard.at(-1)?.id);
  await until(() => again.words().includes("b resync"));
  expect(again.words()).not.toContain("local resync");
  expect(local.ended).toBe(false);
});

test.each([
  ["is removed", []],
  ["has another URI", [other("qemu:///session")]],
])("one who hears a hypervisor that %s is told, and ended; others hear on", async (_, kept) => {
  await applyHosts([other()]);
  const [all, local, its] = [hear(), hear(["local"]), hear(["b"])];
  await until(() => [all, its].every(({ heard }) => heard.some(({ host }) => host === "b")));
  await until(() => local.heard.length > 0);
  await applyHosts(kept);
  await until(() => all.ended && its.ended);
  for (const one of [all, its]) expect(one.words().slice(-2)).toEqual(["b resync", "b lost"]);
  expect([local.ended, local.words()]).toEqual([false, ["local resync"]]);
});

test("alert rules hear of a hypervisor with another URI", async () => {
  await applyHosts([other()]);
  const hearing = new Hearing(() => {});
  ends.push(() => hearing.end());
  await until(() => teller.pids().length > 0 && hearing.due.size > 0);
  await new Promise((resolve) => setTimeout(resolve, 500)); // what begins has begun
  const before = teller.pids().length;
  hearing.due.clear();
  await applyHosts([other("qemu:///session")]);
  await until(() => teller.pids().length > before && hearing.due.has("domain_crashed"));
});

test("a session whose time is over is followed by another one, and the hypervisor was not lost", async () => {
  listening.ms = 400;
  const local = hear(["local"]);
  await until(() => local.heard.length >= 3, "three sessions", 10_000);
  expect(new Set(local.words())).toEqual(new Set(["local resync"]));
});
