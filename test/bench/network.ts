/**
 * `npm run bench` (`-- --json`): the network endpoints against a server that spawns virsh for every command,
 * as the Go original does, against the floor, the same virsh commands on warm sessions without HTTP, and
 * against the same host without all that guards it. All of them work on the lab's libvirtd, in one run, in turns.
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import start from "../../functions/libvirt/network/start.ts";
import stop from "../../functions/libvirt/network/stop.ts";
import network from "../../functions/libvirt/network.ts";
import networks from "../../functions/libvirt/networks.ts";
import { settings } from "../../runtime/core/settings.ts";
import { Hypervisor } from "../../runtime/hypervisor/hypervisor.ts";
import { localTransport } from "../../runtime/hypervisor/local.ts";
import { unwrap } from "../../runtime/hypervisor/outcomes.ts";
import type { Arg } from "../../runtime/hypervisor/text-arguments.ts";
import { startServer, type TestServer } from "../server.ts";
import { type Contender, compare, type Figures, memory, report } from "./measure.ts";

if (process.env.HYPERSDK_LAB !== "1")
  throw new Error("the benchmark makes networks: npm run bench");

const CALLERS = [1, 16];
const URI = "qemu:///system";
const run = promisify(execFile);
const virsh = (...args: string[]) => run("virsh", ["-q", "-c", URI, ...args]);

/** Isolated, without an address: no dnsmasq, so that what differs between the contenders is not drowned. */
const pair = (caller: number) => `pair-${caller}`;

async function define(name: string, inner = "") {
  const folder = await mkdtemp(join(tmpdir(), "bench-"));
  await writeFile(join(folder, "network.xml"), `<network><name>${name}</name>${inner}</network>`);
  await virsh("net-define", join(folder, "network.xml"));
  await rm(folder, { recursive: true });
}

/** The floor's sessions: one for one caller, else as many as the server has. */
function warm(callers: number) {
  const sessions = callers === 1 ? 1 : settings().virsh.sessions;
  return new Hypervisor("floor", URI, { ...settings().virsh, sessions }, localTransport(URI));
}

/** What an endpoint asks of virsh, a list of commands for each round trip; run it to find out. */
async function trips(call: (context: object) => Promise<unknown>): Promise<Arg[][][]> {
  const hypervisor = warm(1);
  const asked: Arg[][][] = [];
  const each = async (commands: Arg[][]) => {
    asked.push(commands);
    return hypervisor.virsh(commands);
  };
  const one = async (command: Arg[]) => unwrap((await each([command]))[0]);
  const all = async (commands: Arg[][]) => (await each(commands)).map(unwrap);
  await call({ virsh: Object.assign(one, { all, each }) });
  await hypervisor.close();
  return asked;
}

async function repeat(hypervisor: Hypervisor, asked: Arg[][][]) {
  for (const commands of asked) (await hypervisor.virsh(commands)).map(unwrap);
}

async function get(server: TestServer, path: string) {
  const { status, body } = await server.get(path);
  if (status !== 200) throw new Error(`${path}: ${JSON.stringify(body)}`);
}

async function post(server: TestServer, path: string, name: string) {
  const { status, body } = await server.post(path, { name });
  if (status !== 200) throw new Error(`${path}: ${JSON.stringify(body)}`);
}

interface Servers {
  ours: TestServer;
  unguarded: TestServer;
  spawning: TestServer;
}

async function reads(path: string, callers: number, servers: Servers, asked: Arg[][][]) {
  const floor = warm(callers);
  const one = callers === 1;
  const calls = one ? 50 : 8;
  const before = 1000; // of each caller: a server that runs for long has all its code compiled
  const contenders: Contender[] = [
    { name: "ours", calls, warm: before, call: () => get(servers.ours, path) },
    { name: "unguarded", calls, warm: before, call: () => get(servers.unguarded, path) },
    {
      name: "spawning",
      calls: calls / (one ? 10 : 4),
      warm: 20,
      call: () => get(servers.spawning, path),
    },
    { name: "floor", calls, warm: before, call: () => repeat(floor, asked) },
  ];
  const figures = await compare(contenders, { callers, rounds: one ? 24 : 36 });
  await floor.close();
  return figures;
}

/** A pair counts as one call. Each caller has a network of its own. */
async function pairs(callers: number, { ours, spawning }: Servers) {
  const floor = warm(callers);
  const http = async (server: TestServer, caller: number) => {
    await post(server, "/libvirt/network/start", pair(caller));
    await post(server, "/libvirt/network/stop", pair(caller));
  };
  const asked = [
    ...(await trips((context) => start({ name: pair(0) }, context))),
    ...(await trips((context) => stop({ name: pair(0) }, context))),
  ];
  const of = (caller: number) =>
    asked.map((commands) =>
      commands.map((command) => command.map((arg) => (arg === pair(0) ? pair(caller) : arg))),
    );
  const contenders: Contender[] = [
    { name: "ours", calls: 1, call: (caller) => http(ours, caller) },
    { name: "spawning", calls: 1, call: (caller) => http(spawning, caller) },
    { name: "floor", calls: 1, call: (caller) => repeat(floor, of(caller)) },
  ];
  const figures = await compare(contenders, { callers, rounds: callers === 1 ? 10 : 1 });
  await floor.close();
  return figures;
}

const results: (Figures & { endpoint: string; callers: number })[] = [];
for (const name of ["default", "lan"]) {
  const address = name === "default" ? "192.168.122.1" : "10.7.0.1";
  await define(name, `<forward mode="nat"/><ip address="${address}" prefix="24"/>`);
}
await virsh("net-start", "default");
const servers: Servers = {
  ours: await startServer({ LOG_LEVEL: "info" }),
  unguarded: await startServer({}, [join(import.meta.dirname, "unguarded.ts")]),
  spawning: await startServer({}, [join(import.meta.dirname, "spawning.ts")]),
};
const READS: Record<string, [path: string, Arg[][][]]> = {
  networks: ["/libvirt/networks", await trips((context) => networks({}, context))],
  network: [
    "/libvirt/network?name=default",
    await trips((context) => network({ name: "default" }, context)),
  ],
};
for (const [endpoint, [path, asked]] of Object.entries(READS)) {
  for (const callers of CALLERS) {
    const figures = await reads(path, callers, servers, asked);
    results.push(...figures.map((one) => ({ endpoint, callers, ...one })));
  }
}
for (let caller = 0; caller < Math.max(...CALLERS); caller++) await define(pair(caller));
for (const callers of CALLERS) {
  const figures = await pairs(callers, servers);
  results.push(...figures.map((one) => ({ endpoint: "start + stop", callers, ...one })));
}
// sessions that had nothing to do for a minute are closed: have all of them open
const many = Array.from({ length: 16 }, () => get(servers.ours, "/libvirt/networks"));
await Promise.all(many);
const used = memory(servers.ours.pid);
await Promise.all(Object.values(servers).map((server) => server.stop()));

const median = (endpoint: string, callers: number, contender: string) =>
  results.find(
    (one) => one.endpoint === endpoint && one.callers === callers && one.contender === contender,
  )?.median_ms ?? Number.NaN;
const ratio = (endpoint: string, callers: number) => {
  const ours = median(endpoint, callers, "ours");
  return {
    endpoint,
    callers,
    times_faster_than_spawning: median(endpoint, callers, "spawning") / ours,
    times_the_floor: ours / median(endpoint, callers, "floor"),
    times_unguarded: ours / median(endpoint, callers, "unguarded"),
  };
};
const { times_faster_than_spawning: faster, times_the_floor: above } = ratio("networks", 1);
const guarded = Math.max(
  ...Object.keys(READS).flatMap((endpoint) =>
    CALLERS.map((callers) => ratio(endpoint, callers).times_unguarded),
  ),
);
report({
  cpus: cpus().length,
  virsh: (await virsh("--version")).stdout.trim(),
  note: "start + stop: two calls, of an isolated network without dnsmasq; of fewer than 100 calls the p99 is the slowest",
  memory_of_server_and_sessions: used, // what they share counts once in PSS, in each of them in RSS
  results,
  ratios: ["networks", "network", "start + stop"].flatMap((endpoint) =>
    CALLERS.map((callers) => ratio(endpoint, callers)),
  ),
  targets: [
    {
      target: "networks, 1 caller: at least 10 times faster than spawning",
      value: faster,
      met: faster >= 10,
    },
    { target: "networks, 1 caller: at most 2 times the floor", value: above, met: above <= 2 },
    {
      target: "reads: access, limits, logs and metrics cost less than 10 %; the worst of them",
      value: guarded,
      met: guarded < 1.1,
    },
    {
      target: "the server with its sessions: less than 150 MB (PSS)",
      value: used.pss_mb,
      met: used.pss_mb < 150,
    },
  ],
});
process.exit(0);
