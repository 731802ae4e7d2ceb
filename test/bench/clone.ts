/**
 * `node test/lab/lab.mjs bun test/bench/clone.ts [--json]`: ten clones of a Debian by one call of
 * clone/multiple, full and linked, beside ten runs of virt-clone. One run, on the lab's libvirtd. In the end
 * the linked ones boot.
 */
import { execFile } from "node:child_process";
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { settings } from "../../runtime/core/settings.ts";
import { at, machine, STORE, sh, start, virsh } from "../fixtures/live/machine.ts";
import { processes } from "../fixtures/live/virsh.ts";
import { debianGuest, debianOs } from "../lab/debian.ts";
import { report } from "./measure.ts";

const COUNT = 10;
/** Added to the guest's own 150 MiB on its disk of 2 GiB: all ten copies must fit in the lab. */
const BALLAST = "360M";
const run = promisify(execFile);

/** Bytes that the pool's files take. */
const taken = () =>
  readdirSync(STORE).reduce((sum, name) => sum + statSync(join(STORE, name)).blocks * 512, 0);

interface Measured {
  contender: string;
  seconds: number;
  mib: number;
  copies_at_once: number;
}

async function measure(contender: string, work: () => Promise<unknown>): Promise<Measured> {
  const [before, began] = [taken(), performance.now()];
  let [done, most] = [false, 0];
  const watch = (async () => {
    for (; !done; await sleep(50)) most = Math.max(most, processes("qemu-img").length);
  })();
  await work();
  const seconds = (performance.now() - began) / 1000;
  done = true;
  await watch;
  const mib = (taken() - before) / 2 ** 20;
  return { contender, seconds, mib, copies_at_once: most };
}

/** Forget all clones, so that the next contender finds what this one found. */
async function forget() {
  for (const name of (await virsh("list", "--all", "--name")).split("\n"))
    if (name && name !== "base") await virsh("undefine", "--domain", name);
  for (const name of readdirSync(STORE)) if (name !== "base.qcow2") rmSync(at(name));
  await virsh("pool-refresh", "default");
}

/** Each says on its console that it runs from its own disk, two at a time; how many do. */
async function boot(names: string[]) {
  for (let i = 0; i < names.length; i += 2) {
    const pair = names.slice(i, i + 2);
    for (const name of pair) await virsh("start", "--domain", name);
    const isOff = async (name: string) => /shut off/.test(await virsh("domstate", name));
    for (const name of pair) while (!(await isOff(name))) await sleep(200);
  }
  const booted = names.map(async (name) => {
    const said = readFileSync(`/run/${name}.log`, "utf8");
    return said.includes(`BOOTED ${(await virsh("domuuid", name)).trim()}`);
  });
  return (await Promise.all(booted)).filter(Boolean).length;
}

await sh(`qemu-img convert -O raw ${debianGuest().disk} base.raw
  head -c ${BALLAST} /dev/urandom >/run/ballast; debugfs -w -R "write /run/ballast ballast" base.raw 2>/dev/null
  qemu-img convert -O qcow2 base.raw base.qcow2; rm base.raw /run/ballast`);
await virsh("pool-refresh", "default");
const os = debianOs("systemd.unit=booted.service");
await machine("base", { disks: [at("base.qcow2")], os, console: "/run/base.log" });
const server = await start();
const clones = (name_prefix: string, linked: boolean) => async () => {
  const input = { source: "base", name_prefix, count: COUNT, linked };
  const { body } = await server.post("/libvirt/clone/multiple", input);
  if (body.successful !== COUNT) throw new Error(JSON.stringify(body));
};
const virtClone = async () => {
  for (let i = 1; i <= COUNT; i++)
    await run("virt-clone", ["-q", "--original", "base", "--name", `v-${i}`, "--auto-clone"]);
};

// full copies and virt-clone in turns, so that noise hits both alike; of each the faster round
const rounds: Measured[] = [];
let booted = 0;
for (const [contender, work] of [
  ["full", clones("full", false)],
  ["virt-clone", virtClone],
  ["virt-clone", virtClone],
  ["full", clones("full", false)],
  ["linked", clones("linked", true)],
] as const) {
  rounds.push(await measure(contender, work));
  if (contender === "linked")
    booted = await boot(Array.from({ length: COUNT }, (_, i) => `linked-${i + 1}`));
  await forget();
}
await server.stop();

const results = ["full", "virt-clone", "linked"].map((name) => {
  const [best] = rounds
    .filter(({ contender }) => contender === name)
    .sort((a, b) => a.seconds - b.seconds);
  return best as Measured;
});
const [full, other, linked] = results as [Measured, Measured, Measured];
const bound = settings().clone.copies;
const ratios = [
  { ratio: "virt-clone to full, time", value: other.seconds / full.seconds },
  { ratio: "linked to full, time", value: linked.seconds / full.seconds },
  { ratio: "linked to full, space", value: linked.mib / full.mib },
];
const [faster = 0, time = 1, space = 1] = ratios.map(({ value }) => value);
report({
  cpus: cpus().length,
  clones: COUNT,
  disk: `a Debian's, 2 GiB, ${Math.round(taken() / 2 ** 20)} MiB of it written`,
  note: "the pool is in memory; virt-clone copies one disk after the other",
  results,
  ratios,
  targets: [
    {
      target: "ten full clones are faster than ten runs of virt-clone",
      value: faster,
      met: faster > 1,
    },
    { target: "linked: less than a tenth of the time of full", value: time, met: time < 0.1 },
    { target: "linked: less than a tenth of the space of full", value: space, met: space < 0.1 },
    { target: "all ten linked clones boot", value: booted, met: booted === COUNT },
    {
      target: `never more than ${bound} copies at once`,
      value: Math.max(
        ...rounds.filter(({ contender }) => contender === "full").map((one) => one.copies_at_once),
      ),
      met: rounds.every((one) => one.copies_at_once <= bound),
    },
  ],
});
process.exit(0);
