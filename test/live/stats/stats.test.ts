/** The statistics of real guests, against what virsh prints before and after. */
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  clean,
  defineDomain,
  defineNetwork,
  expectError,
  expectSuccess,
  until,
  virsh,
} from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { guestSays, tinyGuestXml } from "../../lab/guest.ts";
import { startServer } from "../../server.ts";

const run = promisify(execFile);
const IMAGES = "/var/lib/libvirt/images";
const BUSY = "busy  guest's";
const IDLE = 'idle "guest"';
const ENDPOINTS = ["", "/cpu", "/memory", "/disk", "/network"];

const { test, server } = labTest();
let booted: Promise<unknown>;
const at = (name: string, section = "") =>
  `/libvirt/stats${section}?name=${encodeURIComponent(name)}`;
const show = async (name: string, section = "") =>
  expectSuccess(await server.get(at(name, section)));
const everything = async () => expectSuccess(await server.get("/libvirt/stats/all"));

const disk = (path: string, target = "vda") => `<disk type='file' device='disk'>
  <driver name='qemu' type='qcow2'/><source file='${path}'/><target dev='${target}' bus='virtio'/>
</disk>`;
const DRIVE = "<disk type='file' device='cdrom'><target dev='hdc' bus='ide'/><readonly/></disk>";
const NIC = "<interface type='network'><source network='lan'/><model type='virtio'/></interface>";

async function create(definition: string, verb = "create") {
  writeFileSync("/run/definition.xml", definition);
  await virsh(verb, "--file", "/run/definition.xml");
}

const image = (path: string) =>
  run("qemu-img", ["create", "-q", "-f", "qcow2", path, "64M"]).then(() => disk(path));

/** With -15 a guest gets the cores that it wants, whatever other programs do on this machine. */
function prefer(name: string, nice: number) {
  const pid = Number(readFileSync(`/run/libvirt/qemu/${xml`${name}`}.pid`, "utf8"));
  for (const thread of readdirSync(`/proc/${pid}/task`)) setPriority(Number(thread), nice);
  const group = `/proc/${pid}/autogroup`;
  if (existsSync(group)) writeFileSync(group, `${nice}`);
}

beforeAll(async () => {
  const address = xml`<ip address="10.77.0.1" netmask="255.255.255.0"><dhcp>
    <range start="10.77.0.10" end="10.77.0.99"/></dhcp></ip>`;
  await defineNetwork("lan", address);
  await virsh("net-start", "--network", "lan");
  const root = await image(`${IMAGES}/busy disk.qcow2`);
  const guests = [
    tinyGuestXml({ name: BUSY, vcpus: 2, cmdline: "burn=1", devices: root + DRIVE + NIC }),
    tinyGuestXml({ name: IDLE, vcpus: 2 }),
  ];
  for (const guest of guests) await create(await guest);
  // it would burn a core until its own tests, which are the last
  const busy = guestSays(BUSY, "ADDRESS").then(() => virsh("suspend", "--domain", BUSY));
  booted = Promise.all([busy, guestSays(IDLE, "READY")]);
  booted.catch(() => {}); // it is waited for below
});
afterAll(async () => {
  await clean();
});

const FIELDS = {
  cpu: ["vcpus", "cpu_time_ns", "user_time_ns", "system_time_ns", "usage_percent"],
  memory: ["total_kb", "used_kb", "available_kb", "usage_percent", "swap_in_kb", "swap_out_kb"],
};
const nulls = (keys: string[]) => Object.fromEntries(keys.map((key) => [key, null]));

describe("what cannot be known is null, and says why", () => {
  test("a domain that is off, at every endpoint", async () => {
    const name = "off 'x'";
    const off = `${await image(`${IMAGES}/off.qcow2`)}${NIC}<memballoon model='virtio'/>`;
    await create((await tinyGuestXml({ name, vcpus: 3 })).replace(/<memballoon.*/, off), "define");
    const reason = "the domain is not running";
    const cpu = { ...nulls(FIELDS.cpu), vcpus: 3 };
    const sections = { cpu, memory: nulls(FIELDS.memory), disks: [], networks: [] };
    const all = { name, state: "shut off", ...sections };
    const reasons = { cpu: reason, memory: reason, disks: reason, networks: reason };
    expect(await show(name)).toEqual({ ...all, reasons });
    for (const [endpoint, section] of [
      ["/cpu", "cpu"],
      ["/memory", "memory"],
      ["/disk", "disks"],
      ["/network", "networks"],
    ] as const) {
      expect(await show(name, endpoint)).toEqual({
        name,
        state: "shut off",
        [section]: sections[section],
        reasons: { [section]: reason },
      });
    }
  });

  test("a machine without balloon, disk and interface", async () => {
    await defineDomain("bare", { verb: "create" });
    const data = await show("bare");
    expect(data).toMatchObject({
      state: "running",
      cpu: { vcpus: 1 },
      memory: { ...nulls(FIELDS.memory), total_kb: 16 * 1024 },
      disks: [],
      networks: [],
      reasons: {
        memory: "the domain has no memory balloon that could tell it",
        disks: "the domain has no disk",
        networks: "the domain has no interface",
      },
    });
    expect(data.cpu.cpu_time_ns).toBeGreaterThan(0);
    expect(data.cpu.usage_percent).not.toBeNull();
    await virsh("destroy", "--domain", "bare");
  });

  test("a machine whose guest loads no balloon driver, and an empty drive alone", async () => {
    const definition = await tinyGuestXml({ name: "mute", memoryMiB: 16, devices: DRIVE });
    await create(definition.replace(/<kernel>.*?<\/cmdline>/s, ""));
    const data = await show("mute");
    expect(data.memory).toEqual({ ...nulls(FIELDS.memory), total_kb: 16 * 1024 });
    expect(data.reasons.memory).toMatch(/no balloon driver/);
    expect(data.disks).toMatchObject([{ device: "hdc", read_bytes: 0, errors: null }]);
    await virsh("destroy", "--domain", "mute");
  });

  test("an interface in QEMU's user mode, which libvirt cannot count", async () => {
    const devices = "<interface type='user'/>";
    const definition = await tinyGuestXml({ name: "user", memoryMiB: 16, devices });
    await create(definition.replace(/<kernel>.*?<\/cmdline>/s, ""));
    for (const endpoint of ["", "/network"]) {
      const { networks, reasons } = await show("user", endpoint);
      expect(networks).toEqual([]);
      expect(reasons.networks).toMatch(/no counters of 1 of the domain's 1 interfaces/);
    }
    await virsh("destroy", "--domain", "user");
  });

  test("libvirt's test driver, which tells the state alone", async () => {
    const sandbox = await startServer({ LIBVIRT_DEFAULT_URI: "test:///default" });
    const data = expectSuccess(await sandbox.get("/libvirt/stats?name=test"));
    await sandbox.stop();
    const reason = expect.stringMatching(/is not reported by libvirt.s driver for this hypervisor/);
    expect(data).toEqual({
      name: "test",
      state: "running",
      cpu: nulls(FIELDS.cpu),
      memory: nulls(FIELDS.memory),
      disks: [],
      networks: [],
      reasons: { cpu: reason, memory: reason, disks: reason, networks: reason },
    });
  });
});

describe("vCPUs that come and go", () => {
  const inAll = async (name: string) =>
    (await everything()).domains.find((one: { name: string }) => one.name === name)?.cpu.vcpus;
  const machine = async (current: number) => {
    const definition = await tinyGuestXml({ name: "plug", memoryMiB: 16 });
    await create(
      definition
        .replace(/<kernel>.*?<\/cmdline>/s, "")
        .replace(/<vcpu.*?<\/vcpu>/, `<vcpu current='${current}'>3</vcpu>`),
    );
  };
  const destroy = () => virsh("destroy", "--domain", "plug");

  test("one plugged in: at once in stats and stats/cpu, within 10 s in stats/all", async () => {
    await machine(1);
    expect(await inAll("plug")).toBe(1);
    await virsh("setvcpus", "--domain", "plug", "--live", "2");
    const plugged = performance.now();
    for (const endpoint of ["", "/cpu"]) expect((await show("plug", endpoint)).cpu.vcpus).toBe(2);
    await until("stats/all shows it", async () => (await inAll("plug")) === 2, 15);
    expect(performance.now() - plugged).toBeLessThan(slow(11_000));
    await destroy();
  });

  test("a domain that was started anew with more: at once", async () => {
    await machine(1);
    expect(await inAll("plug")).toBe(1);
    await destroy();
    await machine(3);
    expect(await inAll("plug")).toBe(3);
    await destroy();
  });
});

describe("whom it is about", () => {
  test("a number that is another domain's ID means the domain of that name", async () => {
    const id = (await virsh("domid", "--domain", IDLE)).trim();
    for (const endpoint of ENDPOINTS)
      expectError(await server.get(at(id, endpoint)), 404, "not_found", new RegExp(`'${id}'`));
    await defineDomain(id);
    for (const endpoint of ENDPOINTS)
      expect(await show(id, endpoint)).toMatchObject({ name: id, state: "shut off" });
    await defineDomain(`0${id}`, { verb: "create" });
    expect(await show(`0${id}`)).toMatchObject({ name: `0${id}`, state: "running" });
  });

  test("names with spaces, quotes, words of virsh's", async () => {
    const names = ["three   spaces", " around ", "a;b $HOME `id`", "漢字 🙂", "Domain: 'x'"];
    for (const name of names) await defineDomain(name);
    for (const name of names)
      for (const endpoint of ENDPOINTS)
        expect(await show(name, endpoint)).toMatchObject({ name, state: "shut off" });
    const all = names.join(" ");
    await defineDomain(all, { verb: "create" });
    for (const endpoint of ENDPOINTS)
      expect(await show(all, endpoint)).toMatchObject({ name: all, state: "running" });
  });

  test.each(ENDPOINTS)("/libvirt/stats%s: errors", async (endpoint) => {
    const missing = await server.get(`/libvirt/stats${endpoint}`);
    expectError(missing, 400, "invalid_input", /^name: required/);
    const path = at("it's not there", endpoint);
    expectError(await server.get(path), 404, "not_found", /'it's not there'/);
    const extra = await server.get(`${at(IDLE, endpoint)}&nmae=x`);
    expectError(extra, 400, "invalid_input", /unknown key "nmae" \(allowed: name\)/);
    expectError(await server.get(at("a/b", endpoint)), 400, "invalid_input", /^name: /);
    const posted = await server.post(`/libvirt/stats${endpoint}`, { name: IDLE });
    expectError(posted, 405, "method_not_allowed", /use GET/);
    expect(posted.headers.get("allow")).toMatch(/GET/);
  });

  test("/libvirt/stats/all takes no name", async () => {
    const answer = await server.get("/libvirt/stats/all?name=x");
    expectError(answer, 400, "invalid_input", /unknown key "name"/);
  });
});

type Numbers = Record<string, number>;

/** `key value` or `key=value` lines, as virsh prints them. */
const numbers = (text: string, separator: RegExp): Numbers =>
  Object.fromEntries(
    text.split("\n").flatMap((line) => {
      const [key = "", value] = line.trim().split(separator);
      return value !== undefined && /^\d+$/.test(value) ? [[key, Number(value)]] : [];
    }),
  );

/** What virsh says of the busy guest, from all the commands that say it, by our own names. */
async function truth() {
  const of = ["--domain", BUSY];
  const all = numbers(await virsh("domstats", ...of), /=/);
  const memory = numbers(await virsh("dommemstat", ...of), / /);
  const vda = await virsh("domblkstat", ...of, "--device", "vda");
  const blocks = numbers(vda.replaceAll("vda ", ""), / /);
  const nic = (await virsh("domiflist", ...of)).match(/^ (\S+)/)?.[1] ?? "";
  const net = await virsh("domifstat", ...of, "--interface", nic);
  const nets = numbers(net.replaceAll(`${nic} `, ""), / /);
  const used = (available = 0, usable = 0) => available - usable;
  return {
    nic,
    domstats: {
      cpu_time_ns: all["cpu.time"],
      user_time_ns: all["cpu.user"],
      system_time_ns: all["cpu.system"],
      total_kb: all["balloon.available"],
      available_kb: all["balloon.usable"],
      used_kb: used(all["balloon.available"], all["balloon.usable"]),
      swap_in_kb: all["balloon.swap_in"],
      swap_out_kb: all["balloon.swap_out"],
      read_bytes: all["block.0.rd.bytes"],
      read_requests: all["block.0.rd.reqs"],
      write_bytes: all["block.0.wr.bytes"],
      write_requests: all["block.0.wr.reqs"],
      rx_bytes: all["net.0.rx.bytes"],
      rx_packets: all["net.0.rx.pkts"],
      rx_errors: all["net.0.rx.errs"],
      rx_dropped: all["net.0.rx.drop"],
      tx_bytes: all["net.0.tx.bytes"],
      tx_packets: all["net.0.tx.pkts"],
      tx_errors: all["net.0.tx.errs"],
      tx_dropped: all["net.0.tx.drop"],
    } as Numbers,
    others: {
      total_kb: memory.available,
      available_kb: memory.usable,
      used_kb: used(memory.available, memory.usable),
      swap_in_kb: memory.swap_in,
      swap_out_kb: memory.swap_out,
      read_bytes: blocks.rd_bytes,
      read_requests: blocks.rd_req,
      write_bytes: blocks.wr_bytes,
      write_requests: blocks.wr_req,
      rx_bytes: nets.rx_bytes,
      rx_packets: nets.rx_packets,
      rx_errors: nets.rx_errs,
      rx_dropped: nets.rx_drop,
      tx_bytes: nets.tx_bytes,
      tx_packets: nets.tx_packets,
      tx_errors: nets.tx_errs,
      tx_dropped: nets.tx_drop,
    } as Numbers,
  };
}

/** The counters of our answer, without what is computed or has no counterpart. */
// biome-ignore lint/suspicious/noExplicitAny: an answer's data
function ours({ cpu, memory, disks, networks }: any): Numbers {
  const { usage_percent: _cpu, vcpus: _vcpus, ...times } = cpu;
  const { usage_percent: _memory, ...sizes } = memory;
  const { device: _device, errors: _errors, ...disk } = disks[0];
  const { interface: _interface, ...nic } = networks[0];
  return { ...times, ...sizes, ...disk, ...nic };
}

describe("a Linux guest with disk, drive, interface and balloon driver", () => {
  beforeAll(async () => {
    await booted;
    await virsh("resume", "--domain", BUSY);
    const write = (command: string) =>
      virsh(
        ...["qemu-monitor-command", "--domain", BUSY, "--hmp"],
        `qemu-io -d /machine/peripheral/virtio-disk0/virtio-backend "${command}"`,
      );
    for (const command of ["aio_write 0 64k", "aio_write 1M 3k", "aio_read 0 64k"])
      await write(command);
  });

  test("its counters lie between what virsh says before and after", async () => {
    for (let i = 0; i < 3; i++) {
      const before = await truth();
      const data = await show(BUSY);
      const after = await truth();
      const counters = ours(data);
      for (const [key, value] of Object.entries(counters)) {
        for (const source of ["domstats", "others"] as const) {
          const [a, b] = [before[source][key], after[source][key]];
          if (source === "others" && a === undefined) continue; // only domstats tells CPU times here
          expect(value, `${source} ${key}`).toBeGreaterThanOrEqual(Math.min(Number(a), Number(b)));
          expect(value, `${source} ${key}`).toBeLessThanOrEqual(Math.max(Number(a), Number(b)));
        }
      }
      expect(Object.keys(counters).sort()).toEqual(Object.keys(before.domstats).sort());
      await sleep(300);
    }
  });

  test("nothing is 0 that was not 0", async () => {
    const data = await show(BUSY);
    expect(data).toMatchObject({ name: BUSY, state: "running", cpu: { vcpus: 2 } });
    expect(data.disks).toMatchObject([
      { device: "vda", write_bytes: 64 * 1024 + 3072, write_requests: 2, errors: null },
      { device: "hdc", read_bytes: 0, write_bytes: 0, errors: null },
    ]);
    expect(data.disks[0].read_bytes).toBeGreaterThan(64 * 1024);
    expect(data.networks).toMatchObject([{ interface: expect.stringMatching(/^vnet\d+$/) }]);
    for (const key of ["rx_bytes", "rx_packets", "tx_bytes", "tx_packets"])
      expect(data.networks[0][key]).toBeGreaterThan(0);
    expect(data.memory.total_kb).toBeGreaterThan(64 * 1024);
    expect(data.memory.total_kb).toBeLessThan(128 * 1024);
    const { total_kb, used_kb, available_kb, usage_percent } = data.memory;
    expect(used_kb + available_kb).toBe(total_kb);
    expect(usage_percent).toBeCloseTo((used_kb / total_kb) * 100, 1);
    expect(data.reasons).toEqual({ "disks.errors": expect.stringMatching(/does not count/) });
  });

  test("one that burns one of two vCPUs uses half, an idle one little", async () => {
    const uses: Record<string, number[]> = { [BUSY]: [], [IDLE]: [] };
    prefer(BUSY, -15);
    for (let i = 0; i < 7; i++) {
      for (const name of [BUSY, IDLE]) {
        const { cpu } = await show(name, "/cpu");
        uses[name]?.push(cpu.usage_percent);
      }
      await sleep(1000);
    }
    const { domains } = await everything();
    prefer(BUSY, 0);
    const median = (name: string) => uses[name]?.sort((a, b) => a - b)[3];
    expect(median(BUSY), JSON.stringify(uses)).toBeGreaterThan(40);
    expect(median(BUSY), JSON.stringify(uses)).toBeLessThan(60);
    expect(median(IDLE)).toBeGreaterThan(0);
    expect(median(IDLE)).toBeLessThan(15);
    for (const { name, cpu } of domains)
      expect(Math.abs(cpu.usage_percent - (name === BUSY ? 50 : 5))).toBeLessThan(25);
  });

  test("paused: equal to virsh's numbers, and the same at every endpoint", async () => {
    await virsh("suspend", "--domain", BUSY);
    try {
      await sleep(300);
      // the hypervisor's own packets still count: until nothing has moved in between
      const reading = async () => [
        await truth(),
        await show(BUSY),
        await sections(),
        await truth(),
      ];
      const sections = () => Promise.all(ENDPOINTS.slice(1).map((section) => show(BUSY, section)));
      let [{ nic, domstats, others }, data, [cpu, memory, disks, networks], after] =
        await reading();
      for (let i = 0; after.domstats.rx_packets !== domstats.rx_packets && i < 5; i++)
        [{ nic, domstats, others }, data, [cpu, memory, disks, networks], after] = await reading();
      const {
        cpu_time_ns: _time,
        user_time_ns: _user,
        system_time_ns: _system,
        ...rest
      } = ours(data);
      expect({ ...domstats, ...rest }).toEqual(domstats);
      expect({ ...others, ...rest }).toEqual({ ...rest, ...others });
      expect(data.networks[0].interface).toBe(nic);
      const base = { name: BUSY, state: "paused" };
      expect(data).toMatchObject(base);
      expect(memory).toEqual({ ...base, memory: data.memory, reasons: {} });
      expect(disks).toEqual({ ...base, disks: data.disks, reasons: data.reasons });
      expect(networks).toEqual({ ...base, networks: data.networks, reasons: {} });
      expect(cpu).toEqual({
        ...base,
        cpu: Object.fromEntries(Object.keys(data.cpu).map((key) => [key, expect.any(Number)])),
        reasons: {},
      });
      await sleep(1000);
      expect((await show(BUSY, "/cpu")).cpu.usage_percent).toBeLessThan(15);
      const { domains } = await everything();
      const names = domains.map(({ name }: { name: string }) => name);
      expect(names).toContain(IDLE);
      expect(names).not.toContain(BUSY);
    } finally {
      await virsh("resume", "--domain", BUSY);
    }
    expect((await show(BUSY)).state).toBe("running");
  });

  test("stats/all: exactly the running ones, with the same numbers", async () => {
    await defineDomain("paused", { verb: "create" });
    await virsh("suspend", "--domain", "paused");
    const listed = await virsh("list", "--state-running", "--name");
    const { domains, total } = await everything();
    const names = domains.map(({ name }: { name: string }) => name);
    expect(names.sort()).toEqual(listed.split("\n").filter(Boolean).sort());
    expect(names).toContain(BUSY);
    expect(names).not.toContain("paused");
    expect(total).toBe(names.length);
    const one = domains.find(({ name }: { name: string }) => name === BUSY);
    const { disks, reasons } = await show(BUSY);
    expect([one.disks, one.reasons]).toEqual([disks, reasons]);
    for (const { state, cpu } of domains) {
      expect(state).toBe("running");
      expect(cpu.usage_percent).not.toBeNull();
    }
  });
});
