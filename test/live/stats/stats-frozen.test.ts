/** One QEMU that does not answer holds up nobody, and neither do domains that come and go. */
import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect } from "vitest";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  clean,
  defineDomain,
  defineNetwork,
  expectSuccess,
  processes,
  until,
  virsh,
} from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import type { Answer } from "../../server.ts";

const IMAGES = "/var/lib/libvirt/images";
const NAMES = Array.from({ length: 10 }, (_, i) => `machine ${i}`);
const FROZEN = "machine 7";
const WELL = NAMES.filter((name) => name !== FROZEN);
const STUCK = expect.stringMatching(/QEMU does not answer/);

const { test, server } = labTest();
const at = (name: string) => `/libvirt/stats?name=${encodeURIComponent(name)}`;
const all = () => server.get("/libvirt/stats/all");

async function clock<T>(work: () => Promise<T>): Promise<[T, number]> {
  const begun = performance.now();
  return [await work(), performance.now() - begun];
}

/** Nothing boots on it; disk, interface and balloon are there. */
async function machine(name: string) {
  await virsh("vol-create-as", "--pool", "default", "--name", name, "64M", "--format", "qcow2");
  const definition = xml`<domain type="qemu"><name>${name}</name>
  <memory unit="MiB">16</memory><vcpu>1</vcpu><os><type arch="x86_64" machine="pc">hvm</type></os>
  <devices>
    <disk type="file"><driver name="qemu" type="qcow2"/><source file="${IMAGES}/${name}"/><target dev="vda"/></disk>
    <interface type="network"><source network="lan"/><model type="virtio"/><rom enabled="no"/></interface>
    <memballoon model="virtio"><stats period="1"/></memballoon>
  </devices>
</domain>`;
  writeFileSync("/run/definition.xml", `${definition}`);
  await virsh("create", "--file", "/run/definition.xml");
}

const pidOf = (name: string) => Number(readFileSync(`/run/libvirt/qemu/${name}.pid`, "utf8"));

beforeAll(async () => {
  await defineNetwork("lan");
  await virsh("net-start", "--network", "lan");
  for (const name of NAMES) await machine(name);
});
afterEach(() => {
  for (const pid of processes("qemu-system-x86_64")) process.kill(pid, "SIGCONT");
});
afterAll(async () => {
  await clean();
});

/** CPU time and bytes read, as virsh has them; it must not come to a QEMU that is stopped. */
async function counters(names: string[]) {
  const of = names.flatMap((name) => ["--domain", name]);
  const text = await virsh("domstats", "--cpu-total", "--block", "--interface", ...of);
  return Object.fromEntries(
    text.split("Domain: '").flatMap((part) => {
      const value = (key: string) =>
        Number(part.match(`${key.replaceAll(".", "\\.")}=(\\d+)`)?.[1]);
      const numbers = ["cpu.time", "block.0.rd.bytes", "net.0.rx.bytes"].map(value);
      return part.trim() ? [[part.slice(0, part.indexOf("'\n")), numbers]] : [];
    }),
  ) as Record<string, number[]>;
}

// biome-ignore lint/suspicious/noExplicitAny: an answer's data
const numbers = ({ cpu, disks, networks }: any) => [
  cpu.cpu_time_ns,
  disks[0].read_bytes,
  networks[0].rx_bytes,
];

/** Ten domains in order: those that are well with everything, the others with state and reason. */
function expectTen(answer: Answer, frozen: string[] = [FROZEN]) {
  const { domains, total } = expectSuccess(answer);
  expect(domains.map(({ name }: { name: string }) => name).sort()).toEqual(NAMES);
  expect(total).toBe(10);
  for (const one of domains) {
    expect(one.state).toBe("running");
    expect(one.networks[0].interface).toMatch(/^vnet/);
    expect(one.networks[0].rx_bytes).not.toBeNull();
    if (frozen.includes(one.name)) {
      expect(one.reasons).toMatchObject({ cpu: STUCK, memory: STUCK, disks: STUCK });
      expect(one.disks).toEqual([]);
      expect(new Set([...Object.values(one.cpu), ...Object.values(one.memory)])).toEqual(
        new Set([null]),
      );
    } else {
      expect(one.cpu.usage_percent, one.name).not.toBeNull();
      expect(one.disks).toMatchObject([{ device: "vda", read_bytes: expect.any(Number) }]);
      expect(Object.keys(one.reasons).sort()).toEqual(["disks.errors", "memory"]);
    }
  }
  return domains as { name: string }[];
}

/** Wait until stats/all is complete again by itself. */
const complete = () =>
  until(
    "everybody's numbers are there",
    async () =>
      expectSuccess(await all()).domains.every(
        ({ cpu }: { cpu: { usage_percent: number | null } }) => cpu.usage_percent !== null,
      ),
    5,
  );

describe("one of ten is stopped", () => {
  test("the others' numbers are right, within 3 s, again and again", {
    timeout: slow(60_000),
  }, async () => {
    expectTen(await all(), []);
    process.kill(pidOf(FROZEN), "SIGSTOP");

    const times: number[] = [];
    for (let i = 0; i < 5; i++) {
      const before = await counters(WELL);
      const [answer, ms] = await clock(all);
      const after = await counters(WELL);
      times.push(Math.round(ms));
      for (const one of expectTen(answer)) {
        if (one.name === FROZEN) continue;
        const [low, high] = [before[one.name] ?? [], after[one.name] ?? []];
        for (const [n, value] of numbers(one).entries()) {
          expect(value, one.name).toBeGreaterThanOrEqual(low[n] as number);
          expect(value, one.name).toBeLessThanOrEqual(high[n] as number);
        }
      }
    }
    for (const ms of times) expect(ms, `${times}`).toBeLessThan(slow(3000));
    // only the first has to find out
    expect(times.sort((a, b) => a - b)[2], `${times}`).toBeLessThan(slow(1000));

    // other endpoints meanwhile
    const other: number[] = [];
    const many = clock(() => Promise.all(Array.from({ length: 8 }, all)));
    let ended = false;
    many.finally(() => {
      ended = true;
    });
    while (!ended || other.length < 20) {
      const [answer, ms] = await clock(() => server.get("/libvirt/networks"));
      expectSuccess(answer);
      other.push(ms);
      await sleep(5);
    }
    const [answers, ms] = await many;
    for (const answer of answers) expectTen(answer);
    expect(ms).toBeLessThan(slow(3000));
    expect(other.sort((a, b) => a - b)[other.length >> 1]).toBeLessThan(slow(50));

    const [one, took] = await clock(() => server.get(at(FROZEN)));
    expect(expectSuccess(one)).toMatchObject({ name: FROZEN, state: "running", disks: [] });
    expect(took).toBeLessThan(slow(3000));

    // libvirtd itself has workers left
    await virsh("dumpxml", "--domain", FROZEN);
    await defineDomain("another");
    await virsh("start", "--domain", "another");
    await virsh("destroy", "--domain", "another");
    await virsh("undefine", "--domain", "another");

    process.kill(pidOf(FROZEN), "SIGCONT");
    await complete();
    expectTen(await all(), []);
  });

  test("asked for alone, and by many at once, while nobody knows it yet", async () => {
    process.kill(pidOf(FROZEN), "SIGSTOP");
    const calls = ["", "/cpu", "/memory", "/disk", "/network", "", "/all", "/all"].map((section) =>
      clock(() =>
        server.get(
          section === "/all"
            ? "/libvirt/stats/all"
            : `/libvirt/stats${section}?name=${encodeURIComponent(FROZEN)}`,
        ),
      ),
    );
    const [network, ...rest] = await Promise.all([
      clock(() => server.get("/libvirt/networks")),
      ...calls,
    ]);
    expect(network[1]).toBeLessThan(slow(1000));
    for (const [answer, ms] of rest) {
      const data = expectSuccess(answer);
      if (data.domains) expectTen(answer);
      else expect(data).toMatchObject({ name: FROZEN, state: "running" });
      expect(ms).toBeLessThan(slow(3000));
    }
    process.kill(pidOf(FROZEN), "SIGCONT");
    await complete();
  });

  test("in the middle of a snapshot, which libvirt calls a background job", async () => {
    process.kill(pidOf(FROZEN), "SIGSTOP");
    const job = virsh("snapshot-create-as", "--domain", FROZEN, "--name", "s1");
    await sleep(slow(1000));
    for (let i = 0; i < 2; i++) {
      const [answer, ms] = await clock(all);
      expectTen(answer);
      expect(ms).toBeLessThan(slow(3000));
    }
    process.kill(pidOf(FROZEN), "SIGCONT");
    await job;
    await virsh("snapshot-delete", "--domain", FROZEN, "--snapshotname", "s1");
    await complete();
  });
});

test("two of ten are stopped: nobody is missing, the others have their numbers", async () => {
  const two = [FROZEN, "machine 2"];
  for (const name of two) process.kill(pidOf(name), "SIGSTOP");
  expectTen(await all(), two);
  const [answer, ms] = await clock(all);
  expectTen(answer, two);
  expect(ms).toBeLessThan(slow(1000));
  for (const name of two) process.kill(pidOf(name), "SIGCONT");
  await complete();
});

describe("domains that come and go", () => {
  /** Start and destroy machines of these names until `work` has ended. */
  async function churning<T>(names: string[], work: () => Promise<T>): Promise<T> {
    let ended = false;
    const churn = names.map(async (name) => {
      while (!ended) {
        await defineDomain(name, { verb: "create" });
        await sleep(50 * Math.random());
        await virsh("destroy", "--domain", name);
      }
    });
    const result = await work().finally(() => {
      ended = true;
    });
    await Promise.all(churn);
    return result;
  }

  /** 50 calls by two callers; resolves to the names in each answer. */
  const calls = () =>
    Promise.all(
      [0, 1].map(async () => {
        const seen: string[][] = [];
        while (seen.length < 25) {
          const { domains } = expectSuccess(await all());
          seen.push(domains.map(({ name }: { name: string }) => name));
          await sleep(100 * Math.random());
        }
        return seen;
      }),
    );

  test("50 calls of stats/all succeed meanwhile", async () => {
    const seen = (await churning(["x", "it's y"], calls)).flat();
    for (const names of seen) expect(names).toEqual(expect.arrayContaining(NAMES));
  });

  test("also where nothing else runs", async () => {
    for (const name of NAMES) await virsh("destroy", "--domain", name);
    await churning(["alone"], calls);
  });
});
