/** Two hypervisors, the second behind the first: it is cut off under load, and nobody else notices. */
import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type HostsServer, serveHosts } from "../../fixtures/live/hosts.ts";
import { type Journal, startJournal } from "../../fixtures/live/journal.ts";
import { until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { type Machine, startMachine } from "../../lab/machine.ts";
import { commandOf, connections, tree } from "../../lab/sshd.ts";
import type { Answer } from "../../server.ts";

const run = promisify(execFile);
const FIRST = "10.99.1.2";
const SECOND = "10.99.2.2";

let folder: string;
let kvm1: Machine;
let kvm2: Machine;
const journals: Journal[] = [];
let server: HostsServer;

/** A place of its own for what a login keeps there. */
const tmpOf = (name: string) => join(folder, name);
function options(name: string) {
  mkdirSync(tmpOf(name));
  const journal = startJournal();
  journals.push(journal);
  return { config: [`SetEnv PATH=${journal.PATH} TMPDIR=${tmpOf(name)}`, "MaxSessions 10"] };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "fleet-"));
  kvm1 = await startMachine("kvm1", {
    address: FIRST,
    network: [
      "link add to1 type veth peer name wire netns kvm1",
      "addr add 10.99.1.1/24 dev to1",
      "link set to1 up",
      `-n kvm1 addr add ${FIRST}/24 dev wire`,
      "-n kvm1 link set wire up",
    ],
    ...options("kvm1"),
  });
  kvm2 = await startMachine("kvm2", {
    address: SECOND,
    network: [
      "-n kvm1 link add to2 type veth peer name wire netns kvm2",
      "-n kvm1 addr add 10.99.2.1/24 dev to2",
      "-n kvm1 link set to2 up",
      `-n kvm2 addr add ${SECOND}/24 dev wire`,
      "-n kvm2 link set wire up",
    ],
    ...options("kvm2"),
  });
  await define(kvm1, fixed("kvm1"));
  await define(kvm2, fixed("kvm2"));
  const section = (name: string, { sshd }: Machine, address: string) =>
    `Host ${name}\n  HostName ${address}\n  User root\n  IdentityFile ${sshd.key}\n  UserKnownHostsFile ${sshd.knownHosts}\n`;
  const config = [
    section("kvm1", kvm1, FIRST),
    section("kvm2", kvm2, SECOND),
    "Host kvm2\n  ProxyJump kvm1\n",
  ].join("");
  const uri = (name: string) => `qemu+ssh://${name}/system`;
  server = await serveHosts(
    { kvm1: uri("kvm1"), kvm2: uri("kvm2") },
    "[ssh]\nkeepalive = 2\ntimeout = 2\n",
    { files: { config } },
  );
});

afterAll(async () => {
  await server.stop();
  await until("no connection is left", () => [...sessions(kvm1), ...sessions(kvm2)].length === 0);
  expect([...left("kvm1"), ...left("kvm2")]).toEqual([]);
  for (const journal of journals) journal.remove();
  await kvm2.stop();
  await kvm1.stop();
  await rm(folder, { recursive: true });
});

const left = (name: string) => readdirSync(tmpOf(name));
/** The connections that an sshd has. */
const sessions = ({ sshd }: Machine) => connections(sshd.pid());
const virshes = ({ sshd }: Machine) =>
  tree(sshd.pid()).filter((pid) => commandOf(pid) === "virsh").length;

interface Seen {
  at: number;
  ms: number;
  status: number;
  code: string;
}

/** One caller that calls again and again, and what it was told. */
async function caller(
  stopped: () => boolean,
  call: (i: number) => Promise<Answer>,
  check: (answer: Answer, i: number) => void,
): Promise<Seen[]> {
  const seen: Seen[] = [];
  for (let i = 0; !stopped(); i++) {
    const at = performance.now();
    const answer = await call(i);
    seen.push({ at, ms: performance.now() - at, status: answer.status, code: answer.body.code });
    check(answer, i);
    await sleep(30);
  }
  return seen;
}

const median = (seen: Seen[]) =>
  seen.map(({ ms }) => ms).sort((a, b) => a - b)[seen.length >> 1] ?? 0;
const slowest = (seen: Seen[]) => Math.max(0, ...seen.map(({ ms }) => ms));

const NETWORKS = 8;
const WRITES = 100;
const READERS = 3;

let bridges = 0;
/** Networks that stay, and those that the writers delete, each once. */
async function define(machine: Machine, names: string[]) {
  const files = join(folder, "networks");
  mkdirSync(files, { recursive: true });
  const commands = names.map((name) => {
    const file = join(files, `${name}.xml`);
    const bridge = `<bridge name="b${++bridges}"/>`; // libvirt itself finds 256 names
    writeFileSync(file, `<network><name>${name}</name>${bridge}</network>`);
    return `net-define ${file}`;
  });
  await machine.script(commands);
}
const fixed = (name: string) => Array.from({ length: NETWORKS }, (_, i) => `${name}-fixed-${i}`);

const CUTS: Record<string, { cut(): Promise<unknown>; mend(): Promise<unknown> }> = {
  "its link is down": {
    cut: () => run("ip", ["-n", "kvm1", "link", "set", "to2", "down"]),
    mend: () => run("ip", ["-n", "kvm1", "link", "set", "to2", "up"]),
  },
  "its sshd and all connections are killed": {
    cut: () => kvm2.sshd.kill(),
    mend: () => kvm2.sshd.start(),
  },
  "what is sent to it is swallowed": {
    cut: () => kvm2.run("iptables", "-I", "INPUT", "-i", "wire", "-j", "DROP"),
    mend: () => kvm2.run("iptables", "-D", "INPUT", "-i", "wire", "-j", "DROP"),
  },
};

test.each(Object.keys(CUTS))("%s", async (what) => {
  const { cut, mend } = CUTS[what] as (typeof CUTS)[string];
  const phase = Object.keys(CUTS).indexOf(what);
  const doomed = (writer: number) =>
    Array.from({ length: WRITES }, (_, i) => `doomed-${phase}-${writer}-${i}`);
  const all = [...doomed(0), ...doomed(1)];
  await define(kvm2, all);

  const wrong: string[] = [];
  let stopped = false;
  const stop = () => stopped;
  const list = async () => {
    const answer = await server.get("/libvirt/networks?host=kvm1");
    const names = answer.body.data?.networks.map(({ name }: { name: string }) => name);
    if (!Bun.deepEquals(names, fixed("kvm1"))) wrong.push(`kvm1: ${JSON.stringify(answer.body)}`);
    return answer;
  };
  const one = async (i: number) => {
    const name = `kvm2-fixed-${i % NETWORKS}`;
    const answer = await server.get(`/libvirt/network?host=kvm2&name=${name}`);
    const { status, body } = answer;
    const honest = status === 200 ? body.data.name === name : body.code === "unreachable";
    if (!honest) wrong.push(`kvm2: ${JSON.stringify(body)}`);
    return answer;
  };
  /** What each deletion was answered; only one that was surely not begun is asked for again, by us. */
  const told = new Map<string, string>();
  const next = [0, 0];
  const write = (writer: number) => () =>
    server.post("/libvirt/network/delete?host=kvm2", { name: doomed(writer)[next[writer] ?? 0] });
  const note = (writer: number) => (answer: Answer) => {
    const { status, body } = answer;
    const outcome = status === 200 ? "done" : body.code;
    told.set(doomed(writer)[next[writer] ?? 0] ?? "", outcome);
    if (outcome !== "unreachable") next[writer] = (next[writer] ?? 0) + 1;
    const honest = ["done", "unreachable", "outcome_unknown"].includes(outcome);
    if (!honest) wrong.push(`delete: ${JSON.stringify(body)}`);
  };
  const nothing = () => {};
  await until("both are there", async () =>
    [await list(), await one(0)].every(({ status }) => status === 200),
  );
  for (const writer of [0, 1]) note(writer)(await write(writer)()); // a session for these is open too
  const near = Array.from({ length: READERS }, () => caller(stop, list, nothing));
  const far = [
    ...Array.from({ length: READERS }, () => caller(stop, one, nothing)),
    ...[0, 1].map((writer) => caller(stop, write(writer), note(writer))),
  ];
  await sleep(1500);
  const lost = performance.now();
  await cut();
  await sleep(6000);
  const mended = performance.now();
  await mend();
  await until("it answers again", async () => (await one(0)).status === 200, 35);
  const back = performance.now();
  await sleep(1000);
  stopped = true;
  const [nears, fars] = [(await Promise.all(near)).flat(), (await Promise.all(far)).flat()];

  // the other one: correct, and as fast
  const before = nears.filter(({ at }) => at < lost);
  const during = nears.filter(({ at }) => at >= lost && at < back);
  const failed = fars.filter(({ status }) => status !== 200);
  const figures = { before: median(before), during: median(during), slowest: slowest(during) };
  const counts = Object.fromEntries(
    [...new Set(fars.map(({ code, status }) => code ?? `${status}`))].map((code) => [
      code,
      fars.filter((one) => (one.code ?? `${one.status}`) === code).length,
    ]),
  );
  console.log(what, {
    ...figures,
    failed_slowest: slowest(failed),
    failed_median: median(failed),
    back: back - mended,
    counts,
  });
  expect(wrong.slice(0, 5)).toEqual([]);
  expect(figures.during, JSON.stringify(figures)).toBeLessThan(
    Math.max(3 * figures.before, slow(30)),
  );
  expect(figures.slowest, JSON.stringify(figures)).toBeLessThan(slow(1000));

  // the lost one: all calls fail fast, most of them at once
  expect(failed.length).toBeGreaterThan(10);
  expect(slowest(failed)).toBeLessThan(slow(8000));
  expect(median(failed)).toBeLessThan(slow(100));
  const late = fars.filter(({ at, status }) => at < lost && status !== 200 && status !== 503);
  expect(late.length).toBeLessThanOrEqual(2); // what was being written at that moment
  expect(back - mended).toBeLessThan(slow(15_000));

  // writes: none is repeated, none is told wrongly
  const there = (await kvm2.virsh("net-list", "--all", "--name")).split("\n");
  const begun = journals.flatMap((journal) => journal.entries()).filter(({ began }) => began);
  for (const [name, outcome] of told) {
    const times = begun.filter(
      ({ command }) =>
        command.startsWith("net-undefine") && new RegExp(`'?\\b${name}\\b'?$`).test(command),
    );
    expect(times.length, name).toBeLessThanOrEqual(1);
    if (outcome === "done") expect(times.length, name).toBe(1);
    if (outcome === "unreachable") expect(times.length, name).toBe(0);
    if (outcome !== "outcome_unknown") expect(there.includes(name), name).toBe(outcome !== "done");
  }
  expect([...told.values()].filter((outcome) => outcome === "done").length).toBeGreaterThan(5);
  await kvm2.script(
    all.filter((name) => there.includes(name)).map((name) => `net-undefine ${name}`),
  );

  // one connection to each, one more through the first, and nothing of those before; at most one has a shell, with its
  // folder: that which has ended what was left there
  const remaining = () => ({
    connections: [sessions(kvm1).length, sessions(kvm2).length],
    folders: [left("kvm1").length, left("kvm2").length],
  });
  const expected = { connections: [2, 1], folders: [0, 1] };
  await until("old ones have ended", () => Bun.deepEquals(remaining(), expected), 10).catch(
    () => {},
  );
  expect(remaining()).toEqual(expected);
  expect(virshes(kvm2)).toBeLessThanOrEqual(9);
  const { stdout } = await run("ss", ["-Htn", "state", "established", "dst", FIRST]);
  expect(stdout.trim().split("\n")).toHaveLength(2);
});
