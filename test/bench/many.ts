/**
 * `npm run bench:many -- CHECKOUT` (`--json`, `--quick`): what a host with many domains and volumes costs, against
 * another checkout of this repository with its node_modules, such as an older version. In the lab, in one run, in
 * turns: warm, and as the first call of a server that has just started.
 */
import { execFile } from "node:child_process";
import { copyFileSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { Hypervisor } from "../../runtime/hypervisor/hypervisor.ts";
import { localTransport } from "../../runtime/hypervisor/local.ts";
import { unwrap } from "../../runtime/hypervisor/outcomes.ts";
import { xml } from "../../runtime/libvirt/xml.ts";
import { startServer, type TestServer } from "../server.ts";
import { compare, type Figures, quantile, report, type Target } from "./measure.ts";

if (process.env.HYPERSDK_LAB !== "1")
  throw new Error("the benchmark makes domains: npm run bench:many -- CHECKOUT");

const QUICK = process.argv.includes("--quick");
const checkout = process.argv.slice(2).find((word) => !word.startsWith("--"));
if (!checkout) throw new Error("the other checkout is missing: npm run bench:many -- CHECKOUT");

const [FEW, MANY, VERY_MANY] = QUICK ? [10, 100, 400] : [10, 500, 2000];
const ROUNDS = QUICK ? 2 : 5;
const COLD_ROUNDS = QUICK ? 1 : 3;
const URI = "qemu:///system";
const IMAGES = "/var/lib/libvirt/images";
/** Files that have just changed are read again, whoever asks. */
const SETTLE_MS = 4000;

const run = promisify(execFile);
const settings = { timeout: 120, sessions: 2, queue: 100, idle: 600 };
const setup = new Hypervisor("setup", URI, settings, localTransport(URI));
const virsh = async (...command: (string | { text: string })[]) =>
  unwrap((await setup.virsh([command]))[0]);

const SERVE = { ours: "../../runtime/serve.ts", other: join(checkout, "runtime/serve.ts") };
const serve = (which: keyof typeof SERVE) =>
  startServer({}, [which === "ours" ? join(import.meta.dirname, SERVE.ours) : SERVE.other]);

const base = join(IMAGES, "base.qcow2");
const model = join(IMAGES, "model.qcow2");
await run("qemu-img", ["create", "-q", "-f", "qcow2", base, "8M"]);
await run("qemu-img", ["create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", model]);

/** A domain with a volume of its own, an overlay. */
async function make(name: string) {
  const path = join(IMAGES, `${name}.qcow2`);
  copyFileSync(model, path);
  const definition = xml`<domain type="qemu"><name>${name}</name><memory unit="MiB">16</memory><vcpu>1</vcpu>
  <os><type arch="x86_64" machine="pc">hvm</type></os>
  <devices>
    <disk type="file"><driver name="qemu" type="qcow2"/><source file="${path}"/><target dev="vda"/></disk>
    <interface type="user"><model type="virtio"/></interface><memballoon model="none"/>
  </devices>
</domain>`;
  await virsh("define", "--file", { text: `${definition}` });
}

let made = 0;
async function grow(count: number) {
  for (; made < count; made++) await make(`vm-${made}`);
  await virsh("pool-refresh", "--pool", "default");
  await sleep(SETTLE_MS);
}

async function call(server: TestServer, path: string, body?: object) {
  const init = body && {
    ...{ method: "POST", headers: { "Content-Type": "application/json" } },
    body: JSON.stringify(body),
  };
  const response = await fetch(server.url + path, init);
  const text = await response.text();
  if (!response.ok || text.includes('"success":false'))
    throw new Error(`${path}: ${response.status} ${text.slice(0, 300)}`);
}

let victims = 0;
/** Each endpoint: what is done before a call, and the call. */
const ENDPOINTS: Record<
  string,
  { before?(): Promise<string>; call(s: TestServer, n: string): Promise<void> }
> = {
  volumes: { call: (server) => call(server, "/libvirt/volumes?pool=default") },
  "template/list": { call: (server) => call(server, "/libvirt/template/list") },
  metrics: { call: (server) => call(server, "/metrics") },
  "batch/delete": {
    async before() {
      const name = `victim-${victims++}`;
      await make(name);
      return name;
    },
    call: (server, name) =>
      call(server, "/libvirt/batch/delete", { domains: [name], remove_storage: true }),
  },
};

async function time(work: () => Promise<unknown>) {
  const began = performance.now();
  await work();
  return performance.now() - began;
}
const median = (values: number[]) =>
  quantile(
    values.sort((a, b) => a - b),
    0.5,
  );

/** The first call of a fresh server each time. */
async function cold(which: keyof typeof SERVE, endpoint: string): Promise<number> {
  const { before, call } = ENDPOINTS[endpoint] as (typeof ENDPOINTS)[string];
  const name = (await before?.()) ?? "";
  const server = await serve(which);
  try {
    return await time(() => call(server, name));
  } finally {
    await server.stop();
  }
}

async function warm(servers: Record<string, TestServer>, rounds: number): Promise<Figures[]> {
  const figures: Figures[] = [];
  for (const [endpoint, { before, call }] of Object.entries(ENDPOINTS)) {
    let name = "";
    const contenders = Object.entries(servers).map(([which, server]) => ({
      ...{ name: `${endpoint}: ${which}`, calls: 1, warm: before ? 0 : 2 },
      before: async () => {
        name = (await before?.()) ?? "";
      },
      call: () => call(server, name),
    }));
    // the victims' round needs a victim for each call, so its first round is the warm-up
    figures.push(...(await compare(contenders, { callers: 1, rounds })));
  }
  return figures;
}

/** Of the process alone: its warm virsh sessions are as many on any host. */
function serverMemory(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(status.match(/^VmRSS:\s+(\d+) kB/m)?.[1]) / 1024;
}

let clones = 0;
/** The median of linked clones of one domain. */
async function linkedClone(server: TestServer): Promise<number> {
  const times: number[] = [];
  for (let n = 0; n < ROUNDS * 2; n++) {
    const target = `clone-${clones++}`;
    const body = { source: "vm-0", target, linked: true };
    times.push(await time(() => call(server, "/libvirt/clone", body)));
    await call(server, "/libvirt/batch/delete", { domains: [target], remove_storage: true });
  }
  return median(times.slice(2));
}

/** Medians of starting one domain: through the server, and with a spawned virsh. */
async function starts(server: TestServer) {
  const [ours, spawned]: number[][] = [[], []];
  for (let n = 0; n < ROUNDS * 2 + 1; n++) {
    const ways = [
      () =>
        time(() => call(server, "/libvirt/domain/start", { name: "vm-1" })).then((ms) =>
          ours?.push(ms),
        ),
      () => time(() => run("virsh", ["-c", URI, "start", "vm-1"])).then((ms) => spawned?.push(ms)),
    ];
    for (const way of n % 2 ? ways : ways.reverse()) {
      await way();
      await virsh("destroy", "--domain", "vm-1");
    }
  }
  return { ours: median(ours ?? []), spawned: median(spawned ?? []) };
}

const began = performance.now();
await grow(FEW);
let ours = await serve("ours");
const fewClone = await linkedClone(ours);
await ours.stop();

await grow(MANY);
const coldTimes: { endpoint: string; which: string; ms: number }[] = [];
for (let round = 0; round < COLD_ROUNDS; round++)
  for (const endpoint of Object.keys(ENDPOINTS))
    for (const which of ["ours", "other"] as const) {
      coldTimes.push({ endpoint, which, ms: await cold(which, endpoint) });
    }
ours = await serve("ours");
const other = await serve("other");
await warm({ ours, other }, 1);
await sleep(SETTLE_MS);
const figures = await warm({ ours, other }, ROUNDS);
await other.stop();
const start = await starts(ours);
const manyClone = await linkedClone(ours);
await ours.stop();

await grow(VERY_MANY);
ours = await serve("ours");
await warm({ ours }, 1);
await sleep(SETTLE_MS);
const large = await warm({ ours }, ROUNDS);
const rss_mb = serverMemory(ours.pid);
await ours.stop();
await setup.close();

const of = (list: Figures[], name: string) =>
  list.find(({ contender }) => contender === name)?.median_ms ?? Number.NaN;
const ratios = Object.keys(ENDPOINTS).map((endpoint) => {
  const [mine, its] = [of(figures, `${endpoint}: ours`), of(figures, `${endpoint}: other`)];
  const coldOf = (which: string) =>
    median(
      coldTimes
        .filter((one) => one.endpoint === endpoint && one.which === which)
        .map(({ ms }) => ms),
    );
  return {
    endpoint,
    "warm, ms": mine,
    "warm, times faster": its / mine,
    "cold, ms": coldOf("ours"),
    "cold, times faster": coldOf("other") / coldOf("ours"),
    "times as long with four times as many": of(large, `${endpoint}: ours`) / mine,
  };
});
const target = (text: string, value: number, met: boolean): Target => ({
  target: text,
  value,
  met,
});
report({
  cpus: cpus().length,
  seconds: Math.round((performance.now() - began) / 1000),
  domains_and_volumes: [FEW, MANY, VERY_MANY],
  results: [
    ...figures,
    ...large.map((one) => ({ ...one, contender: `${one.contender}, ${VERY_MANY}` })),
  ],
  ratios,
  targets: [
    ...ratios.flatMap((row) => [
      target(
        `${row.endpoint}: warm, 8 times faster`,
        row["warm, times faster"],
        row["warm, times faster"] >= 8,
      ),
      target(
        `${row.endpoint}: cold, 2 times faster`,
        row["cold, times faster"],
        row["cold, times faster"] >= 2,
      ),
      target(
        `${row.endpoint}: grows no more than linearly`,
        row["times as long with four times as many"],
        row["times as long with four times as many"] <= VERY_MANY / MANY,
      ),
    ]),
    target(
      "domain/start: at most 1.05 times a spawned virsh",
      start.ours / start.spawned,
      start.ours <= 1.05 * start.spawned,
    ),
    target(
      `linked clone: at most 5 ms more than beside ${FEW}`,
      manyClone - fewClone,
      manyClone - fewClone <= 5,
    ),
    target(`memory of the server beside ${VERY_MANY}, MB`, rss_mb, rss_mb < 200),
  ],
});
process.exit(0);
