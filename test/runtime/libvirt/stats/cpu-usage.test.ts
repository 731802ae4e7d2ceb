/** CPU use: the share of all vCPUs between two samples, with a clock of our own. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Context } from "../../../../runtime/hypervisor/context.ts";
import { cpuUsage } from "../../../../runtime/libvirt/stats/cpu-usage.ts";
import type { Stats } from "../../../../runtime/libvirt/stats/domstats.ts";
import { answering } from "../../../fixtures/fake.ts";

let now = 0;
let hosts = 0;
beforeEach(() => {
  now = 1_000_000;
  vi.spyOn(performance, "now").mockImplementation(() => now);
});
afterEach(() => vi.restoreAllMocks());

/** A domain that has used `seconds` of CPU when it is asked for a second sample, `later` ms from now. */
function machine(vcpus = 2) {
  const second = { seconds: 0, later: 250 };
  const fake = answering(() => {
    now += second.later;
    return `Domain: 'vm'\n  state.state=1\n  cpu.time=${Math.round(second.seconds * 1e9)}\n\n`;
  });
  const ctx = { host: `host ${hosts++}`, virsh: fake.virsh } as Context;
  const run = { id: "7" };
  const ask = async (seconds: number, fields: Record<string, string> = {}, stuck?: string) => {
    const stats: Stats = {
      at: now,
      fields: {
        "state.state": "1",
        "cpu.time": `${Math.round(seconds * 1e9)}`,
        "vcpu.current": `${vcpus}`,
        ...fields,
      },
      ...(stuck && { stuck }),
    };
    const targets = [{ name: "vm", ref: "vm", id: run.id }];
    return (await cpuUsage(ctx, targets, new Map([["vm", stats]]))).get("vm");
  };
  return { ask, second, run, calls: fake.calls };
}

test("the first call takes a second sample, later ones compare with an earlier one", async () => {
  const { ask, second, calls } = machine();
  second.seconds = 10.25;
  expect(await ask(10)).toBe(50);
  expect(calls).toEqual([["domstats", "--state", "--interface", "--cpu-total", "--domain", "vm"]]);
  now += 1000;
  expect(await ask(10 + 1.25 * 0.6)).toBe(30);
  now += 1000;
  expect(await ask(10 + 1.25 * 0.6 + 1)).toBe(50);
  expect(calls.length).toBe(1);
});

test("samples that are close together say little and are not compared", async () => {
  const { ask, second, calls } = machine(1);
  second.seconds = 1;
  await ask(1);
  for (let i = 1; i <= 40; i++) {
    now += 100; // half of one vCPU, whatever the window is
    expect(await ask(1 + i * 0.05)).toBeCloseTo((i * 5000) / Math.min(250 + i * 100, 1e9), -2);
  }
  expect(calls.length).toBe(1);
});

test("a sample that is old says nothing about now", async () => {
  const { ask, second, calls } = machine(1);
  second.seconds = 1;
  await ask(1);
  now += 30_000;
  second.seconds = 30.125;
  expect(await ask(30)).toBe(50);
  expect(calls.length).toBe(2);
});

test("a domain that was started anew is measured anew", async () => {
  const { ask, second, calls } = machine(1);
  second.seconds = 100;
  await ask(100);
  now += 2000;
  second.seconds = 1.25;
  expect(await ask(1)).toBe(100);
  expect(calls.length).toBe(2);
});

test("also one that has used more than its last run had", async () => {
  const { ask, second, run, calls } = machine(1);
  second.seconds = 1;
  await ask(1);
  run.id = "8";
  now += 10_000;
  second.seconds = 3.125;
  expect(await ask(3)).toBe(50); // not the 20 % that lie between the runs
  expect(calls.length).toBe(2);
});

test("never beyond 0 to 100: QEMU's own threads count too", async () => {
  const { ask, second } = machine(1);
  second.seconds = 5;
  expect(await ask(1)).toBe(100);
  second.seconds = 6;
  now += 60_000;
  expect(await ask(6)).toBe(0);
});

test.each([
  ["off", { "state.state": "5" }, undefined],
  ["crashed", { "state.state": "6" }, undefined],
  ["without a number of vCPUs", { "vcpu.current": "" }, undefined],
  ["stuck", {}, "QEMU does not answer"],
])("one that is %s has none, and costs no second sample", async (_what, fields, stuck) => {
  const { ask, calls } = machine();
  expect(await ask(1, fields, stuck)).toBeUndefined();
  now += 1000;
  expect(await ask(2, fields, stuck)).toBeUndefined();
  expect(calls).toEqual([]);
});

test("one that goes away before the second sample has none", async () => {
  const { virsh } = answering(() => "");
  const answers = new Map([
    ["vm", { at: now, fields: { "state.state": "1", "cpu.time": "1", "vcpu.current": "1" } }],
  ]);
  const ctx = { host: "gone", virsh } as Context;
  expect((await cpuUsage(ctx, [{ name: "vm", ref: "vm" }], answers)).size).toBe(0);
});
