/**
 * `npm run bench:migrate` (`-- --json`): a small running guest goes there and back between two hypervisors, by us and by
 * `virsh migrate --live` on the one that has it; and a disk of 1 GiB of random bytes is copied, by our migration of a
 * domain that is off and by `scp` between the two. In turns, in one run.
 */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { addressOf, define, STORE, startPair, wipeMachine } from "../fixtures/live/pair.ts";
import { tinyGuest } from "../lab/guest.ts";
import type { Machine } from "../lab/machine.ts";
import { type Contender, compare, type Figures, report } from "./measure.ts";

if (process.env.HYPERSDK_LAB !== "1") throw new Error("it makes domains: npm run bench:migrate");

const MIB = 1024;
const MEMORY_MIB = 128;
const DISK = `${STORE}/disk.raw`;
const run = promisify(execFile);
const load = loadavg()[0] ?? 0;
const folder = await mkdtemp(join(tmpdir(), "bench-migrate-"));
const pair = await startPair("", { LOG_LEVEL: "info" });
const machines = { kvm1: pair.kvm1, kvm2: pair.kvm2 };
type Side = keyof typeof machines;
const otherOf = (side: Side): Side => (side === "kvm1" ? "kvm2" : "kvm1");

/** Without a bound of the machine's own, which is one for tests. */
const inside = ({ pid }: Machine, ...argv: string[]) =>
  run("nsenter", [`--target=${pid}`, "--mount", "--net", "--", ...argv]);

const optionsFor = (side: Side) => {
  const { key, knownHosts } = machines[side].sshd;
  return ["-F", "none", "-i", key, "-o", `UserKnownHostsFile=${knownHosts}`];
};

/** `ssh` to one of the two, as a program that virsh calls. */
async function sshProgram(side: Side) {
  const file = join(folder, `ssh-to-${side}`);
  writeFileSync(file, `#!/bin/sh\nexec ssh ${optionsFor(side).join(" ")} "$@"\n`);
  await chmod(file, 0o755);
  return file;
}
const programs = { kvm1: await sshProgram("kvm1"), kvm2: await sshProgram("kvm2") };

async function ours(from: Side, input: object) {
  const body = { ...input, to: otherOf(from) };
  const { status, body: answer } = await pair.server.post(
    `/libvirt/domain/migrate?host=${from}`,
    body,
  );
  if (status !== 200) throw new Error(JSON.stringify(answer));
}

/** What our migration does, too: the domain is defined there, and here no more. */
async function byHand(from: Side) {
  const to = otherOf(from);
  const destination = `qemu+ssh://root@${addressOf(to)}/system?command=${programs[to]}`;
  const options = ["--live", "--persistent", "--undefinesource"];
  const address = ["--migrateuri", `tcp://${addressOf(to)}`];
  const words = ["migrate", ...options, "small", destination, ...address];
  await inside(machines[from], "virsh", "-q", ...words);
}

async function compareLive(): Promise<Figures[]> {
  const { kernel, initrd } = await tinyGuest();
  const words = "console=ttyS0 quiet rdinit=/bin/busybox -- sleep 1000000";
  const os = `<os><type arch='x86_64' machine='pc'>hvm</type><kernel>${kernel}</kernel><initrd>${initrd}</initrd><cmdline>${words}</cmdline></os>`;
  const devices = "<controller type='usb' model='none'/><memballoon model='none'/>";
  const text = `<domain type='qemu'><name>small</name><memory unit='MiB'>${MEMORY_MIB}</memory><vcpu>1</vcpu>${os}<features><acpi/></features><devices>${devices}</devices></domain>`;
  await define(pair.kvm1, text);
  await pair.kvm1.virsh("start", "small");
  let at: Side = "kvm1";
  const turn = (move: (from: Side) => Promise<void>) => async () => {
    await move(at);
    at = otherOf(at);
  };
  const how = { calls: 2, warm: 2 }; // there and back
  const contenders: Contender[] = [
    { ...how, name: "live, ours", call: turn((from) => ours(from, { name: "small", live: true })) },
    { ...how, name: "live, virsh migrate", call: turn(byHand) },
  ];
  return compare(contenders, { callers: 1, rounds: 6 });
}

async function compareOffline(): Promise<Figures[]> {
  const { kvm1, kvm2 } = pair;
  await inside(kvm1, "sh", "-euc", `head -c ${MIB}M /dev/urandom >${DISK}`);
  await kvm1.virsh("pool-refresh", "default");
  const disk = `<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='${DISK}'/><target dev='vda' bus='virtio'/></disk>`;
  await define(
    kvm1,
    `<domain type='qemu'><name>off</name><memory unit='MiB'>32</memory><os><type arch='x86_64' machine='pc'>hvm</type></os><devices>${disk}</devices></domain>`,
  );
  const before = () => wipeMachine(kvm2);
  const input = { name: "off", copy_storage: "all", undefine_source: false };
  const copy = `root@${addressOf("kvm2")}:${DISK}`;
  const how = { calls: 1, warm: 0, before };
  const contenders: Contender[] = [
    { ...how, name: "1 GiB, ours", call: () => ours("kvm1", input) },
    {
      ...how,
      name: "1 GiB, scp",
      call: () => inside(kvm1, "scp", "-q", ...optionsFor("kvm2"), DISK, copy),
    },
  ];
  const figures = await compare(contenders, { callers: 1, rounds: 5 });
  await run(
    "cmp",
    [DISK, DISK].map((path, i) => `/proc/${[kvm1, kvm2][i]?.pid}/root${path}`),
  );
  return figures;
}

const [live, offline] = [await compareLive(), await compareOffline()];
const median = (figures: Figures[], i: number) => figures[i]?.median_ms ?? Number.NaN;
const times = median(live, 0) / median(live, 1);
const rate = median(offline, 1) / median(offline, 0);
for (const machine of Object.values(machines)) await wipeMachine(machine);
await pair.stop();
await rm(folder, { recursive: true });

report({
  cpus: cpus().length,
  load_before: Math.round(load * 10) / 10,
  guest: `${MEMORY_MIB} MiB, no disk, emulated`,
  results: [...live, ...offline],
  ratios: [
    { ratio: "our live migration, times virsh migrate", value: times },
    { ratio: "our offline copy, times the rate of scp", value: rate },
    { ratio: "MiB/s, ours", value: (MIB / median(offline, 0)) * 1000 },
    { ratio: "MiB/s, scp", value: (MIB / median(offline, 1)) * 1000 },
  ],
  targets: [
    { target: "live: at most 1.1 times virsh migrate", value: times, met: times <= 1.1 },
    { target: "offline: at least 0.8 of scp's rate", value: rate, met: rate >= 0.8 },
  ],
});
process.exit(0);
