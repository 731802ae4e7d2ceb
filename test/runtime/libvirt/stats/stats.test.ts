/** What the endpoints say of a domain, from texts that `domstats` really printed. */
import { describe, expect, test } from "vitest";
import type { Context } from "../../../../runtime/hypervisor/context.ts";
import { DomainStats, readOne, readStats } from "../../../../runtime/libvirt/stats/stats.ts";
import { answering } from "../../../fixtures/fake.ts";

/** A Linux guest with balloon driver, one disk, an empty CD-ROM and one interface. */
const RUNNING = `Domain: 'vm'
  state.state=1
  state.reason=1
  cpu.time=8630000000
  cpu.user=7690000000
  cpu.system=940000000
  cpu.cache.monitor.count=0
  balloon.current=131072
  balloon.maximum=131072
  balloon.swap_in=12
  balloon.swap_out=98476
  balloon.major_fault=0
  balloon.minor_fault=1791
  balloon.unused=66516
  balloon.available=94536
  balloon.usable=72304
  balloon.last-update=1795460626
  balloon.disk_caches=2660
  balloon.rss=238364
  vcpu.current=2
  vcpu.maximum=4
  vcpu.0.state=1
  vcpu.0.time=4470000000
  vcpu.1.state=1
  vcpu.1.time=4070000000
  net.count=1
  net.0.name=vnet0
  net.0.rx.bytes=2796
  net.0.rx.pkts=22
  net.0.rx.errs=1
  net.0.rx.drop=2
  net.0.tx.bytes=2296
  net.0.tx.pkts=12
  net.0.tx.errs=3
  net.0.tx.drop=4
  block.count=2
  block.0.name=vda
  block.0.path=/var/lib/libvirt/images/a.qcow2
  block.0.backingIndex=2
  block.0.rd.reqs=2
  block.0.rd.bytes=4608
  block.0.rd.times=153947
  block.0.wr.reqs=7
  block.0.wr.bytes=65536
  block.0.wr.times=0
  block.0.fl.reqs=0
  block.0.allocation=0
  block.0.capacity=67108864
  block.0.physical=200704
  block.1.name=hdc
  block.1.rd.reqs=0
  block.1.rd.bytes=0
  block.1.wr.reqs=0
  block.1.wr.bytes=0

`;
/** The same, off: the CPU time is libvirtd's own. */
const OFF = `Domain: 'vm'
  state.state=5
  state.reason=0
  cpu.time=280000000
  cpu.user=110000000
  cpu.system=170000000
  balloon.current=131072
  balloon.maximum=131072
  vcpu.current=2
  vcpu.maximum=2
  block.count=2
  block.0.name=vda
  block.0.path=/var/lib/libvirt/images/a.qcow2
  block.0.allocation=200704
  block.0.capacity=67108864
  block.0.physical=196616
  block.1.name=hdc

`;
const bare = (text: string) =>
  text
    .replace(/ {2}(balloon|net|block)\..*\n/g, "")
    .replace(/\n\n$/, "\n  net.count=0\n  block.count=0\n\n");
/** A guest that loaded no balloon driver, and a machine that has no balloon, disk or interface. */
const BALLOON = "  balloon.current=16384\n  balloon.maximum=16384\n  balloon.rss=43100\n";
const NO_DRIVER = `${bare(RUNNING).trimEnd()}\n${BALLOON}  balloon.last-update=0\n\n`;
const BARE = `${bare(RUNNING).trimEnd()}\n${BALLOON}\n`;
/** A driver older than what it is asked for. */
const LITTLE = `${BARE.trimEnd()}\n  balloon.last-update=1795460626\n  balloon.swap_in=1\n\n`;
const TEST_DRIVER = "Domain: 'vm'\n  state.state=1\n  state.reason=1\n\n";

let hosts = 0;
/** The answer about one domain, its CPU use measured between two samples alike. */
async function read(text: string, sections = ["cpu", "memory", "disks", "networks"]) {
  const fake = answering(() => text);
  const ctx = { host: `host ${hosts++}`, virsh: fake.virsh } as Context;
  return readOne(ctx, "vm", "uuid of vm", sections as Parameters<typeof readOne>[3]);
}

const OFF_REASON = "the domain is not running";
const UNTOLD = "it is not reported by libvirt's driver for this hypervisor";

describe("a domain", () => {
  test("that runs", async () => {
    expect(DomainStats.parse(await read(RUNNING))).toEqual({
      name: "vm",
      state: "running",
      cpu: {
        vcpus: 2,
        cpu_time_ns: 8630000000,
        user_time_ns: 7690000000,
        system_time_ns: 940000000,
        usage_percent: 0,
      },
      memory: {
        total_kb: 94536,
        used_kb: 22232,
        available_kb: 72304,
        usage_percent: 23.52,
        swap_in_kb: 12,
        swap_out_kb: 98476,
      },
      disks: [
        {
          device: "vda",
          read_bytes: 4608,
          read_requests: 2,
          write_bytes: 65536,
          write_requests: 7,
          errors: null,
        },
        {
          device: "hdc",
          read_bytes: 0,
          read_requests: 0,
          write_bytes: 0,
          write_requests: 0,
          errors: null,
        },
      ],
      networks: [
        {
          interface: "vnet0",
          rx_bytes: 2796,
          rx_packets: 22,
          rx_errors: 1,
          rx_dropped: 2,
          tx_bytes: 2296,
          tx_packets: 12,
          tx_errors: 3,
          tx_dropped: 4,
        },
      ],
      reasons: { "disks.errors": expect.stringMatching(/does not count/) },
    });
  });

  test("that is off: nothing but what the definition says", async () => {
    expect(DomainStats.parse(await read(OFF))).toEqual({
      name: "vm",
      state: "shut off",
      cpu: {
        vcpus: 2,
        cpu_time_ns: null,
        user_time_ns: null,
        system_time_ns: null,
        usage_percent: null,
      },
      memory: {
        total_kb: null,
        used_kb: null,
        available_kb: null,
        usage_percent: null,
        swap_in_kb: null,
        swap_out_kb: null,
      },
      disks: [],
      networks: [],
      reasons: { cpu: OFF_REASON, memory: OFF_REASON, disks: OFF_REASON, networks: OFF_REASON },
    });
    expect(await read(OFF.replace("state.state=5", "state.state=6"))).toMatchObject({
      state: "crashed",
      cpu: { cpu_time_ns: null },
      reasons: { cpu: OFF_REASON },
    });
  });

  test.each([
    [
      "whose guest has no balloon driver",
      NO_DRIVER,
      /no balloon driver, or the definition no <stats/,
    ],
    ["without balloon, disk and interface", BARE, /no memory balloon/],
    ["whose driver tells only little", LITTLE, /^the guest's balloon driver does not tell it$/],
  ])("%s: what it was given is known, what it uses is not", async (_what, text, why) => {
    expect(await read(text)).toMatchObject({
      state: "running",
      cpu: { cpu_time_ns: 8630000000 },
      memory: {
        total_kb: 16384,
        used_kb: null,
        available_kb: null,
        usage_percent: null,
        swap_in_kb: null,
        swap_out_kb: null,
      },
      disks: [],
      networks: [],
      reasons: {
        memory: expect.stringMatching(why),
        disks: "the domain has no disk",
        networks: "the domain has no interface",
      },
    });
  });

  test("of libvirt's test driver, which knows only the state", async () => {
    const stats = DomainStats.parse(await read(TEST_DRIVER));
    expect(stats.state).toBe("running");
    expect(new Set([...Object.values(stats.cpu), ...Object.values(stats.memory)])).toEqual(
      new Set([null]),
    );
    expect([stats.disks, stats.networks]).toEqual([[], []]);
    expect(stats.reasons).toEqual({ cpu: UNTOLD, memory: UNTOLD, disks: UNTOLD, networks: UNTOLD });
  });

  test("of a driver that tells some things: a reason for each of the others", async () => {
    const lean = RUNNING.replace(
      / {2}(cpu.user|cpu.system|vcpu|balloon.swap_out).*\n/g,
      "",
    ).replace(/ {2}(block.0.rd.bytes|block.0.wr.reqs|net.0.rx.errs)=.*\n/g, "");
    expect((await read(lean)).reasons).toEqual({
      "cpu.vcpus": UNTOLD,
      "cpu.user_time_ns": UNTOLD,
      "cpu.system_time_ns": UNTOLD,
      "cpu.usage_percent": "the number of its vCPUs is not known",
      "memory.swap_out_kb": "the guest's balloon driver does not tell it",
      "disks.read_bytes": UNTOLD,
      "disks.write_requests": UNTOLD,
      "disks.errors": expect.stringMatching(/does not count/),
      "networks.rx_errors": UNTOLD,
    });
  });

  test("with interfaces that libvirt cannot count: those that it can, and why not all", async () => {
    const two = RUNNING.replace("net.count=1", "net.count=2");
    const stats = await read(two);
    expect(stats.networks.map((one) => one.interface)).toEqual(["vnet0"]);
    expect(stats.reasons.networks).toMatch(/^libvirt has no counters of 1 of the domain's 2 inter/);
    const none = await read(RUNNING.replace(/ {2}net\.0.*\n/g, ""));
    expect(none.networks).toEqual([]);
    expect(none.reasons.networks).toMatch(/no counters of 1 of the domain's 1 interfaces/);
  });

  test.each([
    [0, "no state"],
    [2, "blocked"],
    [3, "paused"],
    [4, "in shutdown"],
    [7, "pmsuspended"],
    [99, "no state"],
  ])("in state %i is %s, and its counters are known", async (number, state) => {
    const text = RUNNING.replace("state.state=1", `state.state=${number}`);
    const stats = await read(text);
    expect(stats).toMatchObject({ state, cpu: { cpu_time_ns: 8630000000 } });
    expect(Object.keys(stats.reasons)).toEqual(["disks.errors"]);
  });
});

describe("memory", () => {
  const memory = async (text: string) => (await read(text, ["memory"])).memory;

  test("an older guest tells what is unused, not what is usable", async () => {
    const text = RUNNING.replace(/ {2}balloon\.usable=.*\n/, "");
    expect(await memory(text)).toMatchObject({ available_kb: 66516, used_kb: 94536 - 66516 });
  });

  test("never below 0, though the numbers are of two moments", async () => {
    const text = RUNNING.replace("usable=72304", "usable=94600");
    expect(await memory(text)).toMatchObject({ used_kb: 0, usage_percent: 0 });
  });

  test("a guest that tells nothing of swap", async () => {
    const text = RUNNING.replace(/ {2}balloon\.swap.*\n/g, "");
    expect(await memory(text)).toMatchObject({ swap_in_kb: null, swap_out_kb: null });
  });
});

test("only the sections asked for, and only their reasons", async () => {
  expect(await read(OFF, ["networks"])).toEqual({
    name: "vm",
    state: "shut off",
    networks: [],
    reasons: { networks: OFF_REASON },
  });
  expect(Object.keys(await read(RUNNING, ["cpu"])).sort()).toEqual([
    "cpu",
    "name",
    "reasons",
    "state",
  ]);
});

test("many in the order asked, without those that have gone", async () => {
  const { virsh } = answering((_verb, ...words) => {
    const asked = words.filter((_, i) => words[i - 1] === "--domain" && words[i] !== "gone");
    return asked.map((name) => RUNNING.replace("'vm'", `'${name}'`)).join("");
  });
  const targets = ["b", "gone", "it's", "a"].map((name) => ({ name, ref: name }));
  const found = await readStats({ host: "many", virsh } as Context, targets, ["memory"]);
  expect(found.map(({ name }) => name)).toEqual(["b", "it's", "a"]);
});

test("a domain that is gone when it is asked is not found", async () => {
  await expect(read("\n", ["memory"])).rejects.toMatchObject({ code: "not_found" });
});
