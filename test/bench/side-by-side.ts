/**
 * `npm run bench:base -- DIR` (`--json`, `--quick`): this checkout beside the one in DIR, which has its packages
 * installed. Both hosts work on the lab's libvirtd in one run, in turns: warm reads, memory after them, and the
 * time from the start of the host to its first answer.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs, promisify } from "node:util";
import { freePort } from "../lab/sshd.ts";
import { startServer, type TestServer } from "../server.ts";
import { compare, type Figures, memory, quantile, report, type Target } from "./measure.ts";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { json: { type: "boolean" }, quick: { type: "boolean", default: false } },
});
const [given] = positionals;
if (!given || process.env.HYPERSDK_LAB !== "1")
  throw new Error("usage: npm run bench:base -- DIR, the folder of another checkout");

const TREES = { new: join(import.meta.dirname, "../.."), base: resolve(given) };
const NAMES = ["new", "base"] as const;
const GUESTS = 10;
const CALLERS = [1, 16];
const ROUNDS = values.quick ? 6 : 30;
const STARTS = values.quick ? 5 : 21;
const WARM_CALLS = values.quick ? 100 : 1000;
/** What is not above the base may be so much above it in one run: two equal hosts differ by as much. */
const NOISE = 1.03;
const SLOWER = 1.05;

const run = promisify(execFile);
const host = (name: (typeof NAMES)[number]) => join(TREES[name], "runtime/serve.ts");

async function create(command: string, definition: string) {
  writeFileSync("/run/definition.xml", definition);
  await run("virsh", ["-q", command, "--file", "/run/definition.xml"]);
}

/** A disk without a system, an interface and a balloon: its BIOS finds nothing to boot, and idles. */
async function guest(name: string) {
  const path = `/var/lib/libvirt/images/${name}`;
  await run("qemu-img", ["create", "-q", "-f", "qcow2", path, "1M"]);
  await create(
    "create",
    `<domain type="qemu"><name>${name}</name>
  <memory unit="MiB">16</memory><vcpu>1</vcpu><os><type arch="x86_64" machine="pc">hvm</type></os>
  <devices>
    <disk type="file"><driver name="qemu" type="qcow2"/><source file="${path}"/><target dev="vda"/></disk>
    <interface type="network"><source network="lan"/><model type="virtio"/><rom enabled="no"/></interface>
    <memballoon model="virtio"/>
  </devices>
</domain>`,
  );
}

async function get(server: TestServer, path: string) {
  const { status, body } = await server.get(path);
  if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(body).slice(0, 200)}`);
}

/** Milliseconds from the start of the process to the end of its first answer. */
async function start(name: (typeof NAMES)[number]): Promise<number> {
  const port = await freePort();
  const began = performance.now();
  const child = spawn(process.execPath, [host(name)], {
    cwd: TREES[name],
    env: { ...process.env, PORT: `${port}`, LOG_LEVEL: "error" },
    stdio: "ignore",
  });
  const url = `http://127.0.0.1:${port}/libvirt/networks`;
  for (;;) {
    const response = await fetch(url).catch(() => undefined); // nothing listens yet
    if (response?.ok) {
      await response.text();
      break;
    }
    if (child.exitCode !== null) throw new Error(`${host(name)} ended with ${child.exitCode}`);
    await sleep(1);
  }
  const ms = performance.now() - began;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
  return ms;
}

/** Of the host alone, without its sessions. */
function rss(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/status`, "utf8").match(/VmRSS:\s+(\d+)/)?.[1]) / 1024;
}

const median = (list: number[]) =>
  quantile(
    [...list].sort((a, b) => a - b),
    0.5,
  );

await create("net-define", "<network><name>lan</name></network>");
await run("virsh", ["-q", "net-start", "lan"]);
for (let n = 0; n < GUESTS; n++) await guest(`guest-${n}`);
await sleep(5000); // their BIOS is done

const servers = {
  new: await startServer({}, [host("new")]),
  base: await startServer({}, [host("base")]),
};
const results: (Figures & { endpoint: string; callers: number })[] = [];
const ratios: { figure: string; callers: number; new: number; base: number; ratio: number }[] = [];
for (const endpoint of ["/libvirt/networks", "/libvirt/stats/all"]) {
  for (const callers of CALLERS) {
    const slow = endpoint.endsWith("all");
    const contenders = NAMES.map((name) => ({
      name,
      calls: Math.ceil((slow ? 10 : 50) / Math.sqrt(callers)),
      warm: Math.ceil(WARM_CALLS / callers / (slow ? 10 : 1)),
      call: () => get(servers[name], endpoint),
    }));
    const figures = await compare(contenders, { callers, rounds: ROUNDS });
    results.push(...figures.map((one) => ({ endpoint, callers, ...one })));
    const [ours = Number.NaN, base = Number.NaN] = figures.map(({ median_ms }) => median_ms);
    ratios.push({ figure: `${endpoint}, ms`, callers, new: ours, base, ratio: ours / base });
  }
}
const [ours, base] = NAMES.map((name) => rss(servers[name].pid)) as [number, number];
ratios.push({ figure: "memory of the host, MB", callers: 16, new: ours, base, ratio: ours / base });
const whole = NAMES.map((name) => memory(servers[name].pid));
await Promise.all(NAMES.map((name) => servers[name].stop()));

const starts: Record<(typeof NAMES)[number], number[]> = { new: [], base: [] };
for (let n = 0; n < STARTS; n++) {
  // each round begins with the other one
  for (const name of n % 2 ? NAMES : NAMES.toReversed()) starts[name].push(await start(name));
}
const first = { new: median(starts.new), base: median(starts.base) };
ratios.push({
  figure: "start to first answer, ms",
  callers: 1,
  ...first,
  ratio: first.new / first.base,
});

report({
  cpus: cpus().length,
  with_sessions: Object.fromEntries(NAMES.map((name, i) => [name, whole[i]])),
  results,
  ratios,
  targets: ratios.map(({ figure, callers, ratio }): Target => {
    const most = figure.startsWith("/") ? SLOWER : NOISE;
    return {
      target: `${figure}, ${callers} callers: at most ${most} times the base`,
      value: ratio,
      met: ratio <= most,
    };
  }),
});
process.exit(0);
