/**
 * `node test/lab/lab.mjs bun test/bench/deploy.ts [--json]`: ten guests deployed by one call from a Debian template of
 * 2 GiB, linked, with cloud_init, beside ten linked clones without it, in turns; and beside ten with `customize`, which
 * has virt-customize write the same into each disk. To the answer, on the lab's libvirtd; nothing is started.
 */
import { readdirSync, rmSync } from "node:fs";
import { cpus } from "node:os";
import { at, GUESTFS, machine, STORE, sh, start, virsh } from "../fixtures/live/machine.ts";
import { debianGuest, debianOs } from "../lab/debian.ts";
import { quantile, report } from "./measure.ts";

const COUNT = 10;
const ROUNDS = 7;
const KEY =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJxNnX2oJY9rZr5t0Gmb3wAvYl7mOr6o0hZxwVnqT4o5 ada@example";

/** Forget all but the template, so that the next contender finds what this one found. */
async function forget() {
  for (const name of (await virsh("list", "--all", "--name")).split("\n"))
    if (name && name !== "base" && name !== "gold") await virsh("undefine", "--domain", name);
  for (const name of readdirSync(STORE)) if (!/^(base|gold)/.test(name)) rmSync(at(name));
  await virsh("pool-refresh", "default");
}

await sh(`cp ${debianGuest().disk} base.qcow2`);
await virsh("pool-refresh", "default");
await machine("base", { disks: [at("base.qcow2")], os: debianOs() });
const server = await start(undefined, GUESTFS);
const made = await server.post("/libvirt/template/create", { domain: "base", name: "gold" });
if (made.status !== 201) throw new Error(JSON.stringify(made.body));

const call = (path: string, input: object) => async () => {
  const { body } = await server.post(path, { count: COUNT, linked: true, ...input });
  const { successful } = body.data ?? body;
  if (successful !== COUNT) throw new Error(JSON.stringify(body));
};
const deploy = (name_prefix: string, input: object) =>
  call("/libvirt/template/deploy", { template: "gold", name_prefix, ...input });
const WAYS = {
  "linked clones": call("/libvirt/clone/multiple", { source: "gold", name_prefix: "clone" }),
  cloud_init: deploy("cloud", {
    cloud_init: {
      hostname: "{{name}}",
      users: [{ name: "ada", password: "secret", sudo: true, ssh_authorized_keys: [KEY] }],
      write_files: [{ path: "/etc/motd", content: "{{name}}\n" }],
      run_commands: ["date >/root/deployed"],
      network: {
        ethernets: { all: { match: { name: "e*" }, addresses: ["10.0.0.{{index}}/24"] } },
      },
    },
  }),
  customize: deploy("custom", {
    customize: {
      hostname: "web",
      ssh_authorized_keys: [KEY],
      run_commands: ["date >/root/deployed"],
    },
  }),
};

const taken: Record<keyof typeof WAYS, number[]> = {
  "linked clones": [],
  cloud_init: [],
  customize: [],
};
async function measure(way: keyof typeof WAYS) {
  const began = performance.now();
  await WAYS[way]();
  taken[way].push((performance.now() - began) / 1000);
  await forget();
}

for (let round = 0; round <= ROUNDS; round++)
  for (const way of ["linked clones", "cloud_init"] as const) await measure(way);
for (const way of ["linked clones", "cloud_init"] as const) taken[way].shift(); // it opened the sessions
await measure("customize");
await server.stop();

const median = (way: keyof typeof WAYS) =>
  quantile(
    taken[way].toSorted((a, b) => a - b),
    0.5,
  );
const faster = median("customize") / median("cloud_init");
const slower = median("cloud_init") / median("linked clones");
report({
  cpus: cpus().length,
  guests: COUNT,
  note: `medians of ${ROUNDS} rounds in turns, customize once; the pool is in memory`,
  results: Object.entries(taken).map(([contender, seconds]) => ({
    contender,
    seconds: median(contender as keyof typeof WAYS),
    ms_each: (median(contender as keyof typeof WAYS) / COUNT) * 1000,
    rounds: seconds.length,
  })),
  ratios: [
    { ratio: "customize to cloud_init", value: faster },
    { ratio: "cloud_init to linked clones", value: slower },
  ],
  targets: [
    {
      target: "cloud_init is at least 50 times faster than customize",
      value: faster,
      met: faster >= 50,
    },
    {
      target: "cloud_init takes at most 1.5 times linked clones",
      value: slower,
      met: slower <= 1.5,
    },
  ],
});
process.exit(0);
