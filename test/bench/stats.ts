/**
 * `node test/lab/lab.mjs bun test/bench/stats.ts` (`--json`, `--quick`): what `GET /libvirt/stats` and
 * `stats/all` take with 10, 25 and 50 guests, against a server that spawns virsh for every figure, as the Go
 * original does, and against the floor: `domstats` alone on one warm session. On the lab's libvirtd, in one
 * run, in turns. The guests stop as they boot, so that what they do is not measured with it.
 */
import { execFile } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { Hypervisor } from "../../runtime/hypervisor/hypervisor.ts";
import { localTransport } from "../../runtime/hypervisor/local.ts";
import { unwrap } from "../../runtime/hypervisor/outcomes.ts";
import type { Arg } from "../../runtime/hypervisor/text-arguments.ts";
import { xml } from "../../runtime/libvirt/xml.ts";
import { startServer, type TestServer } from "../server.ts";
import { type Contender, compare, type Figures, report } from "./measure.ts";

if (process.env.HYPERSDK_LAB !== "1")
  throw new Error("the benchmark starts guests: node test/lab/lab.mjs bun test/bench/stats.ts");

const QUICK = process.argv.includes("--quick");
const SIZES = QUICK ? [2, 5, 10] : [10, 25, 50];
const ROUNDS = QUICK ? 2 : 4;
const GROUPS = ["--state", "--interface", "--cpu-total", "--vcpu", "--balloon", "--block"];
const URI = "qemu:///system";
const SETTINGS = { timeout: 60, sessions: 2, queue: 100, idle: 600 };

const run = promisify(execFile);
const virsh = new Hypervisor("setup", URI, SETTINGS, localTransport(URI));
const floor = new Hypervisor("floor", URI, { ...SETTINGS, sessions: 1 }, localTransport(URI));
const ask = async (on: Hypervisor, ...command: Arg[]) => unwrap((await on.virsh([command]))[0]);

/** A boot sector that stops the processor for good: cli, hlt. */
const sector = Buffer.alloc(1024 * 1024);
sector.set([0xfa, 0xf4, 0xeb, 0xfd]);
sector.set([0x55, 0xaa], 510);
writeFileSync("/run/halt.raw", sector);

/** A disk, an interface and a balloon. */
async function guest(name: string) {
  const path = `/var/lib/libvirt/images/${name}`;
  await run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", "/run/halt.raw", path]);
  const definition = xml`<domain type="qemu"><name>${name}</name>
  <memory unit="MiB">16</memory><vcpu>1</vcpu><os><type arch="x86_64" machine="pc">hvm</type></os>
  <features><acpi/></features>
  <devices>
    <disk type="file"><driver name="qemu" type="qcow2"/><source file="${path}"/><target dev="vda"/></disk>
    <interface type="network"><source network="lan"/><model type="virtio"/><rom enabled="no"/></interface>
    <memballoon model="virtio"><stats period="10"/></memballoon>
  </devices>
</domain>`;
  await ask(virsh, "create", "--file", { text: `${definition}` });
}

/** Clock ticks that all QEMUs have used. */
function ticks(): number {
  const used = readdirSync("/proc").map((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const fields = stat.split(") ").at(-1)?.split(" ") ?? [];
      return stat.includes("(qemu-") ? Number(fields[11]) + Number(fields[12]) : 0;
    } catch {
      return 0; // no process, or it has ended
    }
  });
  return used.reduce((sum, one) => sum + one, 0);
}

/** Wait until the guests have booted: together less than a tenth of one core. */
async function idle(): Promise<number> {
  for (let tries = 0; ; tries++) {
    const before = ticks();
    await sleep(1000);
    const share = (ticks() - before) / 100;
    if (share < 0.1 || tries > 45) return share;
  }
}

async function get(server: TestServer, path: string, count?: number) {
  const { status, body } = await server.get(path);
  const domains = body.data?.domains ?? body.domains;
  if (status !== 200 || (count !== undefined && domains.length !== count))
    throw new Error(`${path}: ${status} ${JSON.stringify(body).slice(0, 200)}`);
}

await ask(virsh, "net-define", "--file", { text: "<network><name>lan</name></network>" });
await ask(virsh, "net-start", "--network", "lan");
const ours = await startServer();
const go = await startServer({}, [join(import.meta.dirname, "go-stats.ts")]);
const began = performance.now();

const results: (Figures & { guests: number })[] = [];
const busy: Record<number, number> = {};
let started = 0;
for (const guests of SIZES) {
  const names = Array.from({ length: guests - started }, (_, i) => `guest ${started + i}`);
  await Promise.all(
    [0, 1].map(async (half) => {
      for (const name of names.filter((_, i) => i % 2 === half)) await guest(name);
    }),
  );
  started = guests;
  busy[guests] = await idle();
  const one = "/libvirt/stats?name=guest%200";
  const all = "/libvirt/stats/all";
  const named = ["--domain", "guest 0"];
  // the first calls take a second sample of each guest's CPU time
  for (const path of [all, one]) await get(ours, path);
  const contenders: Contender[] = [
    { name: "all: ours", calls: 5, call: () => get(ours, all, guests) },
    // after 10 s the server asks anew for what changes seldom
    {
      name: "all: ours, rarely",
      calls: 1,
      call: () => get(ours, all, guests),
      before: () => sleep(10_100),
    },
    { name: "all: Go original", calls: 1, call: () => get(go, all, guests) },
    { name: "all: bare domstats", calls: 5, call: () => ask(floor, "domstats") },
    { name: "all: domstats, our groups", calls: 5, call: () => ask(floor, "domstats", ...GROUPS) },
    { name: "one: ours", calls: 10, call: () => get(ours, one) },
    { name: "one: Go original", calls: 2, call: () => get(go, one) },
    { name: "one: bare domstats", calls: 10, call: () => ask(floor, "domstats", ...named) },
  ];
  const figures = await compare(contenders, { callers: 1, rounds: ROUNDS });
  results.push(...figures.map((figure) => ({ guests, ...figure })));
}
const seconds = (performance.now() - began) / 1000;
await Promise.all([ours.stop(), go.stop(), virsh.close(), floor.close()]);

const median = (guests: number, contender: string) =>
  results.find((one) => one.guests === guests && one.contender === contender)?.median_ms ??
  Number.NaN;
const ratios = SIZES.map((guests) => {
  const [all, one] = [median(guests, "all: ours"), median(guests, "one: ours")];
  return {
    guests,
    ms_per_guest: all / guests,
    "all: times faster than Go": median(guests, "all: Go original") / all,
    "all, rarely: times faster than Go":
      median(guests, "all: Go original") / median(guests, "all: ours, rarely"),
    "all: times bare domstats": all / median(guests, "all: bare domstats"),
    "all: times our groups": all / median(guests, "all: domstats, our groups"),
    "one: times faster than Go": median(guests, "one: Go original") / one,
    "one: times bare domstats": one / median(guests, "one: bare domstats"),
  };
});
const last = ratios.at(-1) as (typeof ratios)[0];
const most = SIZES.at(-1) as number;
const target = (text: string, value: number, met: boolean) => ({
  target: `${most} guests, ${text}`,
  value,
  met,
});
const [faster, above, single] = [
  last["all: times faster than Go"],
  last["all: times bare domstats"],
  last["one: times faster than Go"],
];
report({
  cpus: cpus().length,
  seconds: Math.round(seconds),
  cores_busy_with_idle_guests: busy,
  notes: [
    "the lab has no CPU cgroup, so the original's cpu-stats fails, after the same connection",
    "these guests have no OS, so they tell nothing of their memory; that and the number of vCPUs stats/all asks for every 10 s, and always in 'rarely'",
  ],
  results,
  ratios,
  targets: [
    target("stats/all: at least 50 times faster than the Go original", faster, faster >= 50),
    target("stats/all: at most 1.5 times a bare domstats", above, above <= 1.5),
    target("stats?name=: at least 10 times faster than the Go original", single, single >= 10),
  ],
});
process.exit(0);
