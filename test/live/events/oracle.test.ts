/**
 * `virsh event` runs beside us while domains are started, paused, killed, saved, changed and migrated to another
 * hypervisor and back, libvirtd is killed, and an SSH connection is cut: each event that it prints is in our stream once and in order, or in a gap that a `resync`
 * names. `HYPERSDK_EVENT_SECONDS=600 HYPERSDK_EVENT_DOMAINS=20` makes it long.
 */
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createClient } from "../../../runtime/client/client.ts";
import type { FleetEvent } from "../../../runtime/client/types.ts";
import { image, machine, wipe } from "../../fixtures/live/machine.ts";
import { differences, GAP, oracle, told } from "../../fixtures/live/oracle.ts";
import { processes, sessions, until, virsh } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { startLibvirtd, stopLibvirtd } from "../../lab/libvirtd.ts";
import { type Machine as Hypervisor, startMachine } from "../../lab/machine.ts";
import { connections, type Sshd, startSshd } from "../../lab/sshd.ts";
import { startServer, type TestServer } from "../../server.ts";

const SECONDS = Number(process.env.HYPERSDK_EVENT_SECONDS ?? 20);
const COUNT = Number(process.env.HYPERSDK_EVENT_DOMAINS ?? 6);
/** How often libvirtd is killed, and the connection cut. */
const LOSSES = SECONDS > 100 ? 3 : 1;

const ODD = [
  "a b",
  "it's",
  "x': Started Booted",
  "ünï 机器 🐧",
  "x' disk sda: opened",
  "next\u0085line\u2028end",
  "x': type title, uri y",
  "'",
];
const NAMES = Array.from({ length: COUNT }, (_, i) => ODD[i] ?? `plain-${i}`);
const LAST = "the last one";
/** It has no disk, so that it moves within a second. */
const MOVER = "moves to 'x'";
const [HERE, THERE] = ["10.97.0.1", "10.97.0.2"];

let sshd: Sshd;
let other: Hypervisor;
let server: TestServer;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "events-"));
  sshd = await startSshd({ config: ["MaxSessions 10"] });
  const config = join(folder, "hypersdk.toml");
  const hosts = { local: "qemu:///system", far: sshd.uri() };
  const lines = Object.entries(hosts).map(([alias, uri]) => `[hosts.${alias}]\nuri = "${uri}"\n`);
  writeFileSync(config, `${lines.join("")}`);
  server = await startServer({ HYPERSDK_CONFIG: config, LIBVIRT_DEFAULT_URI: "" });
  other = await startOther();
}, slow(60_000));
afterAll(async () => {
  await wipe();
  await server.stop();
  await other.stop();
  await sshd.stop();
  rmSync(folder, { recursive: true });
});

/** Another hypervisor, to which the lab's own migrates. */
async function startOther() {
  const network = [
    "link add to-other type veth peer name wire netns other",
    `addr add ${HERE}/24 dev to-other`,
    "link set to-other up",
    `-n other addr add ${THERE}/24 dev wire`,
    "-n other link set wire up",
  ];
  return startMachine("other", { address: THERE, network, config: [], hostUuid: randomUUID() });
}

/** One connection, which is never made again. */
async function hear(filter: object = {}, host = "*") {
  const stop = new AbortController();
  const heard: FleetEvent[] = [];
  const call = createClient(server.url);
  const stream = await call("GET /events", filter, { host, signal: stop.signal });
  const ended = (async () => {
    for await (const { data } of stream) heard.push(data);
  })().catch(() => {});
  return { heard, ended, stop: () => stop.abort() };
}

const isResync = (host: string, kind: string) => (event: FleetEvent) =>
  event.kind === "stream" && event.host === host && event.kinds.includes(kind);

/** Whatever the state allows; what it does not is refused by libvirt. */
const ACTIONS: ((name: string) => Promise<unknown>)[] = [
  (name) => virsh("start", "--domain", name),
  (name) => virsh("start", "--domain", name),
  (name) => virsh("start", "--domain", name, "--paused"),
  (name) => virsh("suspend", "--domain", name),
  (name) => virsh("resume", "--domain", name),
  (name) => virsh("resume", "--domain", name),
  (name) => virsh("reset", "--domain", name),
  (name) => virsh("destroy", "--domain", name),
  (name) => virsh("managedsave", "--domain", name),
  (name) => virsh("desc", "--domain", name, "--config", "--new-desc", `${Math.random()}`),
  (name) =>
    virsh("attach-disk", name, "/var/lib/libvirt/images/more.raw", "sdc", "--targetbus", "usb"),
  (name) => virsh("detach-disk", name, "sdc"),
  (name) =>
    virsh("snapshot-create-as", "--domain", name, "--name", `s${Math.floor(Math.random() * 3)}`),
  (name) => virsh("snapshot-delete", "--domain", name, "--snapshotname", "s1"),
  (name) => virsh("snapshot-revert", "--domain", name, "--snapshotname", "s0", "--running"),
  (name) => virsh("blkdeviotune", "--domain", name, "--device", "sda", "--total-iops-sec", "1000"),
  async () => {
    const all = processes("qemu-system-x86_64");
    const one = all[Math.floor(Math.random() * all.length)];
    if (one !== undefined) process.kill(one, "SIGKILL");
  },
];

/** virsh speaks with both libvirtds, and QEMU sends its memory over the wire between them. */
function migrate(from: string, to: string, address: string) {
  const how = ["--live", "--persistent", "--undefinesource", "--migrateuri", `tcp://${address}`];
  return virsh("-c", from, "migrate", ...how, "--domain", MOVER, "--desturi", to);
}
const otherUri = () =>
  `qemu+unix:///system?socket=/proc/${other.pid}/root/run/libvirt/libvirt-sock`;
/** A libvirtd that is killed may leave it paused or stopped on either side: then it ends, and starts again. */
const MOVES = [
  ...[() => "qemu:///system", otherUri].flatMap((uri) => [
    (name: string) => virsh("-c", uri(), "start", "--domain", name),
    (name: string) => virsh("-c", uri(), "destroy", "--domain", name),
  ]),
  ...[1, 2, 3].flatMap(() => [
    () => migrate("qemu:///system", otherUri(), THERE),
    () => migrate(otherUri(), "qemu:///system", HERE),
  ]),
];

async function work(name: string, end: number, actions = ACTIONS) {
  while (Date.now() < end) {
    const action = actions[Math.floor(Math.random() * actions.length)];
    await action?.(name).catch(() => {}); // it was not in that state, or libvirtd is away
    await sleep(20);
  }
}

test("each event of virsh is ours, once and in order, or in a gap that is named", {
  timeout: slow(SECONDS * 3000 + 180_000),
}, async () => {
  await image("more.raw", "1M");
  for (const [i, name] of NAMES.entries()) {
    const disk = await image(`disk${i}.qcow2`, "8M");
    await machine(name, { disks: [disk] });
  }
  await machine(LAST);
  await machine(MOVER);
  const { heard, stop } = await hear({ kind: ["domain", "hypervisor"] });
  const hosts = ["local", "far"];
  for (const host of hosts)
    await until(`${host} is heard`, () => heard.some(isResync(host, "domain")), 30);
  const beside = oracle(["event", "--all"], [...NAMES, LAST, MOVER]);
  await sleep(500);

  await virsh("start", "--domain", MOVER);
  await migrate("qemu:///system", otherUri(), THERE); // later ones may all be in a gap
  const end = Date.now() + SECONDS * 1000;
  const working = Promise.all([...NAMES.map((name) => work(name, end)), work(MOVER, end, MOVES)]);
  for (let n = 1; n <= LOSSES; n++) {
    await sleep((SECONDS * 1000) / (2 * LOSSES + 1));
    for (const pid of connections(sshd.pid())) process.kill(pid, "SIGKILL");
    await sleep((SECONDS * 1000) / (2 * LOSSES + 1));
    await stopLibvirtd();
    await startLibvirtd();
  }
  await working;
  for (const host of hosts)
    await until(
      `${host} was found again`,
      () =>
        heard.findLast(({ kind, host: of }) => kind === "hypervisor" && of === host)?.event ===
        "found",
      60,
    );
  const lists = () => [beside.seen, ...hosts.map((host) => told(heard, "domain", host))];
  const allEndWith = (event: string) => lists().every((one) => one.at(-1)?.startsWith(event));
  await until(
    "all hear again",
    async () => {
      await virsh("desc", "--domain", LAST, "--config", "--new-desc", `${Math.random()}`);
      await sleep(200);
      return allEndWith(`metadata-change|${LAST}|`);
    },
    60,
  );
  await virsh("start", "--domain", LAST, "--paused"); // one of them may not have told of all changes yet
  await until("all have told all", () => allEndWith(`lifecycle|${LAST}|Suspended Paused`), 30);
  beside.end();
  stop();

  for (const host of hosts) {
    const ours = told(heard, "domain", host);
    const gaps = ours.filter((one) => one === GAP).length;
    const moved = ours.filter((one) => /^lifecycle\|moves.*Migrated/.test(one)).length;
    console.info(
      `${host}: ${ours.length - gaps} events, ${moved} of migration, ${gaps} gaps; virsh ${beside.seen.length}`,
    );
    expect(moved).toBeGreaterThan(0);
    expect(differences(ours, beside.seen)).toEqual([]);
    expect(gaps, `${told(heard, "hypervisor", host)}`).toBe(1 + LOSSES * (host === "far" ? 2 : 1));
    const lost = heard.filter((one) => one.kind === "hypervisor" && one.host === host);
    const what = lost.map(({ event, detail }) => `${event} ${detail}`);
    console.info(what.join("\n"));
    expect(lost.map(({ event }) => event)).toEqual(
      Array.from({ length: LOSSES * (host === "far" ? 2 : 1) }, () => ["lost", "found"]).flat(),
    );
  }
  const known = new Set([...NAMES, LAST, MOVER]);
  const strange = heard.filter(({ kind, object }) => kind === "domain" && !known.has(object));
  expect(strange).toEqual([]);
  const ids = heard.map(({ id }) => id);
  expect(new Set(ids.filter((_, i) => heard[i]?.kind !== "stream")).size).toBe(
    heard.filter(({ kind }) => kind !== "stream").length,
  );
});

test("networks and pools are told, too", { timeout: slow(60_000) }, async () => {
  const { heard, stop } = await hear({ kind: ["network", "pool"] }, "local");
  await until("they are heard", () => heard.some(isResync("local", "pool")), 30);
  const network = join(folder, "net.xml");
  writeFileSync(network, "<network><name>lan: 1</name></network>");
  await virsh("net-define", "--file", network);
  await virsh("net-start", "--network", "lan: 1");
  await virsh("pool-define-as", "my pool: x", "dir", "--target", folder);
  await virsh("pool-start", "--pool", "my pool: x");
  await virsh("pool-refresh", "--pool", "my pool: x");
  await virsh("pool-destroy", "--pool", "my pool: x");
  await virsh("pool-undefine", "--pool", "my pool: x");
  await virsh("net-destroy", "--network", "lan: 1");
  await virsh("net-undefine", "--network", "lan: 1");
  const actions = (kind: "network" | "pool") =>
    heard.flatMap((event) =>
      event.kind === kind ? `${event.object}|${event.action ?? event.event}` : [],
    );
  await until(
    "all of them",
    () => [actions("network"), actions("pool")].every((all) => all.at(-1)?.endsWith("undefined")),
    10,
  );
  stop();
  const of = (name: string, ...events: string[]) => events.map((event) => `${name}|${event}`);
  expect(actions("network")).toEqual(of("lan: 1", "defined", "started", "stopped", "undefined"));
  // another session tells of a refresh, and some versions of libvirt refresh a pool that starts
  const pool = actions("pool");
  expect(pool.filter((one) => !one.endsWith("|refresh"))).toEqual(
    of("my pool: x", "defined", "started", "stopped", "undefined"),
  );
  expect(pool).toContain("my pool: x|refresh");
});

test("nobody listens: no process of it is left, after a while", {
  timeout: slow(90_000),
}, async () => {
  const listening = () => sessions(server).filter((pid) => processes("virsh").includes(pid)).length;
  const before = listening();
  const { heard, stop } = await hear({ kind: ["domain"] }, "local");
  await until("it is heard", () => heard.some(isResync("local", "domain")), 30);
  stop();
  await until("they end", () => listening() < Math.max(1, before), 60);
});
