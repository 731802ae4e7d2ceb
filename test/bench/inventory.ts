/**
 * `npm run bench:inventory` (`-- --json`, `-- --quick`): `vms/list?q=` of 10,000 domains of libvirt's test driver, on 200
 * hypervisors over SSH, which are one sshd on loopback with its defaults, against a script that reads the same from all of
 * them in parallel over sessions of the same kind and does nothing with it. In turns; also the query alone, the memory of
 * the server, and the first answer after its start: after how long, and whose CPU it took. Each channel runs the profile
 * of the user who logs in, whatever that costs; `-- --no-profile` is without.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { chunks } from "../../runtime/core/chunks.ts";
import { Hypervisor } from "../../runtime/hypervisor/hypervisor.ts";
import { unwrap } from "../../runtime/hypervisor/outcomes.ts";
import { MAX_COMMANDS_PER_FRAME } from "../../runtime/hypervisor/session-frames.ts";
import { sshTransport } from "../../runtime/hypervisor/ssh/transport.ts";
import { parseQuery, select } from "../../runtime/libvirt/inventory/query.ts";
import { TAGS_NAMESPACE } from "../../runtime/libvirt/inventory/tags.ts";
import type { Vm } from "../../runtime/libvirt/inventory/vm.ts";
import { startSshd } from "../lab/sshd.ts";
import { startServer } from "../server.ts";
import { cpuByProgram } from "./cpu.ts";
import { quantile, report, type Target } from "./measure.ts";

const load = loadavg()[0] ?? 0;
const QUICK = process.argv.includes("--quick");
const NO_PROFILE = process.argv.includes("--no-profile");
const HOSTS = QUICK ? 20 : 200;
const DOMAINS_PER_HOST = 50;
const ROUNDS = QUICK ? 3 : 7;
/** Of `networks?host=*` on 200 hypervisors on one sshd, logins included, on 28 November 2026: 33 s. */
const HALF_OF_BEFORE_MS = 16_500;
const QUERY =
  "tag:prod AND state:running AND memory:>4GiB AND (host:kvm* OR host:local) AND NOT name:*9";

const folder = mkdtempSync(join(tmpdir(), "bench-inventory-"));
/** A server always has a hypervisor `local`. */
const aliases = Array.from({ length: HOSTS }, (_, i) => (i === 0 ? "local" : `kvm${i}`));

function domain(host: number, i: number): string {
  const uuid = `00000000-0000-4000-8000-${`${host * 1000 + i}`.padStart(12, "0")}`;
  const tags = [i % 2 ? "prod" : "dev", `team-${i % 10}`];
  const own = tags.map((tag) => `<h:tag>${tag}</h:tag>`).join("");
  return `<domain type="test"><name>vm-${host}-${i}</name><uuid>${uuid}</uuid>
  <metadata><h:tags xmlns:h="${TAGS_NAMESPACE}">${own}</h:tags></metadata>
  <memory unit="GiB">${1 + (i % 8)}</memory><vcpu>${1 + (i % 4)}</vcpu><os><type>hvm</type></os>
  <devices>
    <disk type="file" device="disk"><source file="/images/${host}-${i}.qcow2"/><target dev="vda" bus="virtio"/></disk>
    <interface type="bridge"><source bridge="br0"/><mac address="52:54:00:00:${(i >> 8).toString(16).padStart(2, "0")}:${(i & 255).toString(16).padStart(2, "0")}"/></interface>
  </devices></domain>`;
}

for (const [host, alias] of aliases.entries()) {
  const domains = Array.from({ length: DOMAINS_PER_HOST }, (_, i) => domain(host, i));
  writeFileSync(join(folder, `${alias}.xml`), `<node>\n${domains.join("\n")}\n</node>\n`);
}
const sshd = await startSshd({ config: NO_PROFILE ? ["SetEnv HOME=/nonexistent"] : [] });
const uriOf = (alias: string) => sshd.uri("test", join(folder, `${alias}.xml`));
const config = join(folder, "hypersdk.toml");
const sections = aliases.map((alias) => `[hosts.${alias}]\nuri = "${uriOf(alias)}"\n`);
writeFileSync(config, sections.join(""));

/** What the inventory needs, as text. */
async function readPlainly(hypervisor: Hypervisor) {
  const [list = ""] = (
    await hypervisor.virsh([
      ["list", "--uuid", "--name", "--all"],
      ["domstats", "--state"],
    ])
  ).map(unwrap);
  const uuids = list.split("\n").flatMap((row) => (row ? [row.slice(0, 36)] : []));
  const commands = uuids.map((uuid) => ["dumpxml", "--domain", uuid]);
  const parts = chunks(commands, MAX_COMMANDS_PER_FRAME).map((part) => hypervisor.virsh(part));
  return (await Promise.all(parts)).flat().map(unwrap).length;
}

async function time<T>(work: () => Promise<T>) {
  const began = performance.now();
  const value = await work();
  return { value, ms: performance.now() - began };
}
const median = (values: number[]) =>
  quantile(
    values.sort((a, b) => a - b),
    0.5,
  );
const memoryOf = (pid: number) =>
  Number(readFileSync(`/proc/${pid}/status`, "utf8").match(/^VmRSS:\s+(\d+) kB/m)?.[1]) / 1024;

const began = performance.now();
const server = await startServer({
  ...{ HYPERSDK_CONFIG: config, XDG_STATE_HOME: join(folder, "state") },
});
const list = async (query: Record<string, string>) => {
  const { status, body } = await server.get(`/vms/list?${new URLSearchParams(query)}`);
  if (status !== 200 || body.unreachable.length > 0)
    throw new Error(JSON.stringify(body.unreachable ?? body));
  return body;
};
const first = await list({ q: QUERY });
const first_ms = performance.now() - began;
const cpu = { ...cpuByProgram(server.pid, "server"), ...cpuByProgram(sshd.pid()) };

const settings = { timeout: 120, sessions: 4, queue: 1000, idle: 600 };
const ssh = { timeout: 20, keepalive: 15, idle: 600, logins: 4 };
const script = aliases.map((alias) => {
  const uri = uriOf(alias);
  return new Hypervisor(alias, uri, settings, sshTransport(alias, uri, ssh));
});
const scriptFirst = await time(() => Promise.all(script.map(readPlainly)));
const [ours, plain, whole]: number[][] = [[], [], []];
for (let round = 0; round < ROUNDS; round++) {
  ours?.push((await time(() => list({ q: QUERY }))).ms);
  plain?.push((await time(() => Promise.all(script.map(readPlainly)))).ms);
  whole?.push((await time(() => list({ limit: "10000" }))).ms);
}
const rss_mb = memoryOf(server.pid);
const { vms } = await list({ limit: "10000" });
const inventory = vms.map((vm: Record<string, unknown>) => ({
  ...{ ...vm, state: vm.power_state, memory: Number(vm.memory_mb) * 1024 ** 2, vcpus: vm.num_cpu },
  ...{ os: "", bridges: [], macs: [] },
})) as Vm[];
const queries: number[] = [];
let found = 0;
for (let round = 0; round < 20; round++) {
  const start = performance.now();
  found = select(parseQuery(QUERY), inventory).matching.length;
  queries.push(performance.now() - start);
}
await server.stop();
await Promise.all(script.map((one) => one.close()));
const throttled = /MaxStartups throttling/.test(sshd.log());
await sshd.stop();
rmSync(folder, { recursive: true });
if (found !== first.total) throw new Error(`${found} found, and ${first.total} before`);

const figures = {
  "vms/list?q=, ms": median(ours ?? []),
  "the same read in parallel, ms": median(plain ?? []),
  "vms/list of all on one page, ms": median(whole ?? []),
  "first answer after the start, ms": first_ms,
  "first read of the script, ms": scriptFirst.ms,
  "the query alone, first, ms": queries[0] ?? Number.NaN,
  "the query alone, median, ms": median([...queries]),
  "memory of the server, MB": rss_mb,
};
const target = (text: string, value: number, met: boolean): Target => ({
  target: text,
  value,
  met,
});
const ratio = figures["vms/list?q=, ms"] / figures["the same read in parallel, ms"];
report({
  cpus: cpus().length,
  load_before: Math.round(load * 10) / 10,
  seconds: Math.round((performance.now() - began) / 1000),
  hypervisors: HOSTS,
  domains: inventory.length,
  found,
  profile: !NO_PROFILE,
  "CPU of the first answer, s": cpu,
  results: [],
  ratios: [figures],
  targets: [
    target("vms/list?q=: at most 1.5 times reading in parallel", ratio, ratio <= 1.5),
    target(
      "the query alone, first: under 50 ms",
      queries[0] ?? Number.NaN,
      Number(queries[0]) < 50,
    ),
    target(
      "first answer after the start, ms: at most half of 33 s",
      first_ms,
      first_ms <= HALF_OF_BEFORE_MS,
    ),
    target("memory of the server, MB: under 300", rss_mb, rss_mb < 300),
    target("logins that sshd threw out (MaxStartups): none", Number(throttled), !throttled),
  ],
});
process.exit(0);
