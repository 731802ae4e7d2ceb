/**
 * `npm run bench:load` (`-- --json`): 200 connections read for a minute while others write, with tokens, limits
 * and the audit log on. Every answer is compared with what it must be; the server's memory is watched.
 */
import { execFile } from "node:child_process";
import { cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { guarded } from "../fixtures/access.ts";
import { startServer } from "../server.ts";
import { memory, quantile, report } from "./measure.ts";

if (process.env.HYPERSDK_LAB !== "1") throw new Error("it makes networks: npm run bench:load");

const CONNECTIONS = 200;
const SECONDS = Number(process.env.LOAD_SECONDS ?? 60);
/** Seconds at each end whose memory is compared, and before which nothing is. */
const [EDGE, WARM] = [10, 5];
const NETWORKS = ["moving", "still"];

const run = promisify(execFile);
const virsh = async (...args: string[]) => (await run("virsh", ["-q", ...args])).stdout;

for (const name of NETWORKS) {
  await run("sh", [
    "-c",
    'printf "<network><name>%s</name></network>" "$1" >/run/n.xml',
    "sh",
    name,
  ]);
  await virsh("net-define", "/run/n.xml");
}
const still = (await virsh("net-uuid", "still")).trim();
const access = guarded("limits.rate = 100000");
const read = { headers: { "X-API-Key": await access.token("read", { role: "read" }) } };
const write = await access.token("write", { role: "admin" });
const server = await startServer(access.env);

type Body = Record<string, unknown> & { data: Record<string, unknown> };
/** Paths, and what must be true of each answer whatever is written meanwhile. */
const READS: [string, (body: Body) => boolean][] = [
  ["/libvirt/networks", ({ data }) => names(data.networks) === NETWORKS.join()],
  ["/libvirt/network?name=still", ({ data }) => data.uuid === still && data.active === false],
  [
    "/libvirt/network?name=moving",
    ({ data }) => data.name === "moving" && data.persistent === true,
  ],
  ["/libvirt/domains", ({ data }) => data.total === 0],
  ["/libvirt/pools", ({ data }) => names(data.pools) === "default"],
  ["/whoami", ({ data }) => data.name === "read" && data.access === "read"],
];
const names = (list: unknown) =>
  (list as { name: string }[])
    .map(({ name }) => name)
    .sort()
    .join();

const taken: number[] = [];
const wrong: string[] = [];
let [writes, counting, ended] = [0, false, false];

async function reader(n: number) {
  for (let i = n; !ended; i++) {
    const [path, right] = READS[i % READS.length] as (typeof READS)[number];
    const began = performance.now();
    const response = await fetch(server.url + path, read);
    const body = (await response.json()) as Body;
    if (counting) taken.push(performance.now() - began);
    if (response.status !== 200 || !right(body)) wrong.push(`${path}: ${JSON.stringify(body)}`);
  }
}

/** libvirt answers no question about networks while it starts or stops one, some 150 ms each time. */
const PAUSE = 500;

async function change(path: string, input: object) {
  const { status, body } = await server.post(path, input, {
    body: JSON.stringify(input),
    headers: { "Content-Type": "application/json", "X-API-Key": write },
  });
  writes++;
  if (status >= 300) wrong.push(`${path}: ${JSON.stringify(body)}`);
}

async function writers() {
  const networks = async () => {
    for (const verb of repeat(["start", "stop"])) {
      if (ended) return;
      await change(`/libvirt/network/${verb}`, { name: "moving" });
      await sleep(PAUSE);
    }
  };
  const volumes = async () => {
    const volume = { pool: "default", name: "moving.raw", format: "raw", capacity: "64KiB" };
    while (!ended) {
      await change("/libvirt/volume/create", volume);
      await change("/libvirt/volume/delete", { pool: "default", volume: "moving.raw" });
      await sleep(PAUSE);
    }
  };
  await Promise.all([networks(), volumes()]);
}

function* repeat<T>(items: T[]) {
  for (;;) yield* items;
}

const work = Promise.all([...Array.from({ length: CONNECTIONS }, (_, n) => reader(n)), writers()]);
await sleep(WARM * 1000);
counting = true;
const samples: number[] = [];
for (let second = 0; second < SECONDS; second++) {
  await sleep(1000);
  samples.push(memory(server.pid).pss_mb);
}
ended = true;
await work;
const audited = access.audited();
await server.stop();
access.remove();

const mean = (values: number[]) => values.reduce((sum, one) => sum + one, 0) / values.length;
const [first, last] = [mean(samples.slice(0, EDGE)), mean(samples.slice(-EDGE))];
const growth = (last / first - 1) * 100;
taken.sort((a, b) => a - b);
if (wrong.length > 0) console.log(wrong.slice(0, 5).join("\n"));
report({
  cpus: cpus().length,
  seconds: SECONDS,
  results: [
    {
      connections: CONNECTIONS,
      reads: taken.length,
      reads_per_second: taken.length / SECONDS,
      median_ms: quantile(taken, 0.5),
      p99_ms: quantile(taken, 0.99),
      writes,
      errors_or_wrong: wrong.length,
    },
  ],
  ratios: [{ memory: "PSS in MB", first_10_s: first, last_10_s: last, growth_percent: growth }],
  targets: [
    { target: "no error, and no wrong answer", value: wrong.length, met: wrong.length === 0 },
    {
      target: "memory: the last 10 s within 20 % of the first",
      value: growth,
      met: Math.abs(growth) <= 20,
    },
    {
      target: "each write in the audit log",
      value: audited.length - writes,
      met: audited.length === writes,
    },
  ],
});
process.exit(wrong.length > 0 ? 1 : 0);
