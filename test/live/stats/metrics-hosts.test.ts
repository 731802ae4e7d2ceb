/** GET /metrics where something does not answer: a QEMU, a libvirtd, an SSH server, a machine. */
import { readFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Read, readExposition } from "../../fixtures/exposition.ts";
import { type HostsServer, serveHosts } from "../../fixtures/live/hosts.ts";
import { image, machine, wipe } from "../../fixtures/live/machine.ts";
import {
  clean,
  defineNetwork,
  expectSuccess,
  freeze,
  processes,
  thaw,
  until,
  virsh,
} from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { freePort, type Sshd, startSshd } from "../../lab/sshd.ts";

const NAMES = Array.from({ length: 5 }, (_, i) => `machine ${i}`);
const FROZEN = "machine 3";
const WELL = NAMES.filter((name) => name !== FROZEN);

let server: HostsServer;
let sshd: Sshd;
let silent: Server;
const sockets: Socket[] = [];

beforeAll(async () => {
  sshd = await startSshd();
  const port = await freePort();
  // takes connections, and says nothing
  silent = createServer((socket) => {
    sockets.push(socket.on("error", () => {}));
  });
  await new Promise<void>((resolve) => silent.listen(port, "127.0.0.1", resolve));
  server = await serveHosts({
    local: "qemu:///system",
    sandbox: "test:///default",
    remote: sshd.uri(),
    dead: "qemu+unix:///system?socket=/run/no-such.sock",
    silent: `qemu+ssh://root@127.0.0.1:${port}/system?keyfile=${sshd.key}&known_hosts=${sshd.knownHosts}`,
  });
  await defineNetwork("lan");
  await virsh("net-start", "--network", "lan");
  for (const name of NAMES) {
    await machine(name, { disks: [await image(`${name}.qcow2`, "8M")], network: "lan" });
    await virsh("start", "--domain", name);
  }
}, slow(120_000));
afterEach(() => {
  for (const pid of processes("qemu-system-x86_64")) process.kill(pid, "SIGCONT");
});
afterAll(async () => {
  await wipe();
  await clean();
  await server.stop();
  for (const socket of sockets) socket.destroy();
  silent.close();
  await sshd.stop();
});

/** The samples, and how many milliseconds they took. */
async function scrape(query = ""): Promise<[Read[], number]> {
  const began = performance.now();
  const response = await fetch(`${server.url}/metrics${query}`);
  const text = await response.text();
  expect(response.status, text).toBe(200);
  return [readExposition(text), performance.now() - began];
}
/** The values of one metric, by host or domain. */
const values = (samples: Read[], name: string, by: "host" | "domain") =>
  Object.fromEntries(
    samples.filter((one) => one.name === name).map(({ labels, value }) => [labels[by], value]),
  );
const timedOut = (samples: Read[]) => values(samples, "libvirt_domain_timed_out", "domain");
const pidOf = (name: string) => Number(readFileSync(`/run/libvirt/qemu/${name}.pid`, "utf8"));
const all = (value: number) => Object.fromEntries(NAMES.map((name) => [name, value]));

describe.each(["local", "remote"])("one of five QEMU is stopped, seen from %s", (host) => {
  const of = (samples: Read[], domain: string) =>
    samples.filter(({ labels }) => labels.domain === domain).map(({ name }) => name);
  const statistics = (samples: Read[], domain: string) =>
    of(samples, domain).filter((name) => /_stats_.*(bytes|total)$|_vcpu_(state|time)/.test(name));
  /** Resolves, when everybody has answered in time, to the statistics of a domain. */
  const whole = async () => {
    let samples: Read[] = [];
    const well = async () => {
      [samples] = await scrape(`?host=${host}`);
      return Object.values(timedOut(samples)).every((value) => value === 0);
    };
    await until("all are well", well, 20);
    expect(timedOut(samples)).toEqual(all(0));
    return statistics(samples, FROZEN);
  };

  test("the others have all their numbers, it has timed out, and nobody waits long", async () => {
    const before = await whole();
    expect(before.length).toBeGreaterThan(20);
    process.kill(pidOf(FROZEN), "SIGSTOP");

    const first = scrape(`?host=${host}`);
    expectSuccess(await server.get(`/libvirt/networks?host=${host}`));
    for (const [samples, ms] of [await first, await scrape(`?host=${host}`)]) {
      expect(ms).toBeLessThan(slow(9500));
      expect(values(samples, "libvirt_up", "host")).toEqual({ undefined: 1 });
      expect(timedOut(samples)).toEqual({ ...all(0), [FROZEN]: 1 });
      for (const name of WELL) expect(statistics(samples, name), name).toEqual(before);
      const known = of(samples, FROZEN);
      expect(known).toContain("libvirt_domain_info_state");
      expect(known).toContain("libvirt_domain_interface_stats_receive_bytes_total");
      expect(known).toContain("libvirt_domain_block_stats_info");
      expect(known.filter((name) => /memory|cpu_time|read_bytes/.test(name))).toEqual([]);
    }

    process.kill(pidOf(FROZEN), "SIGCONT");
    expect(await whole()).toEqual(before);
  });
});

const UP = { local: 1, sandbox: 1, remote: 1, dead: 0, silent: 0 };
const up = (samples: Read[]) => values(samples, "libvirt_up", "host");

describe("several hypervisors", () => {
  test("each says whether it is up; the same domains of two are told apart", async () => {
    const [samples, ms] = await scrape("?host=*");
    expect(up(samples)).toEqual(UP);
    expect(ms).toBeLessThan(slow(6000));
    for (const host of ["local", "remote"]) {
      const own = samples.filter(({ labels }) => labels.host === host);
      expect(timedOut(own)).toEqual(all(0));
    }
  });

  test("a libvirtd that is stopped: down within its time, by any way, and the others are not held up", async () => {
    freeze();
    try {
      const [samples, ms] = await scrape("?host=*");
      expect(up(samples)).toEqual({ ...UP, local: 0, remote: 0 });
      expect(ms).toBeLessThan(slow(6000));
      // the server's own metrics are there all the same
      const [own, took] = await scrape();
      expect(own.map(({ name }) => name)).toContain("hypersdk_requests_total");
      expect(up(own)).toEqual({ undefined: 0 });
      expect(took).toBeLessThan(slow(6000));
    } finally {
      thaw();
    }
    await until(
      "both are up again",
      async () => {
        const [samples] = await scrape("?host=local,remote");
        return JSON.stringify(up(samples)) === '{"local":1,"remote":1}';
      },
      20,
    );
  });

  test("nothing of it is left waiting", async () => {
    const [samples] = await scrape();
    const waiting = samples.filter(({ name }) => name === "hypersdk_virsh_waiting");
    expect(waiting.length).toBeGreaterThan(4);
    expect(waiting.filter(({ value }) => value !== 0)).toEqual([]);
    const sessions = samples.filter(({ name }) => name === "hypersdk_virsh_sessions");
    expect(sessions.filter(({ labels, value }) => labels.state === "busy" && value > 0)).toEqual(
      [],
    );
    for (const { value } of sessions) expect(value).toBeLessThanOrEqual(5);
  });

  test("an SSH connection that is lost, and made again", async () => {
    const connected = async () => values((await scrape())[0], "hypersdk_ssh_connected", "host");
    const made = async (): Promise<Record<string, number>> => {
      const found = (await scrape())[0].filter(
        ({ name, labels }) => name === "hypersdk_ssh_connections_total" && labels.host === "remote",
      );
      return Object.fromEntries(found.map(({ labels, value }) => [labels.result, value]));
    };
    expect((await connected()).remote).toBe(1);
    expect((await connected()).silent).toBe(0);
    const { success = 0, error = 0 } = await made();
    expect(success).toBeGreaterThan(0);

    await sshd.kill();
    const [samples, ms] = await scrape("?host=remote,local");
    expect(up(samples)).toEqual({ remote: 0, local: 1 });
    expect(ms).toBeLessThan(slow(6000));
    expect((await connected()).remote).toBe(0);
    expect((await made()).error).toBeGreaterThan(error);

    await sshd.start();
    await until(
      "it is up again",
      async () => up((await scrape("?host=remote,local"))[0]).remote === 1,
      35,
    );
    expect((await connected()).remote).toBe(1);
    expect((await made()).success).toBe(success + 1);
  });
});
