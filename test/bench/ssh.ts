/**
 * `npm run bench:ssh` (`-- --json`): `GET /libvirt/networks` of a hypervisor over SSH, sshd on loopback, against
 * (a) one `ssh` a request, (b) virsh's own `qemu+ssh`, (c) an ssh2 exec a request on a kept connection, and (d)
 * the same endpoint of the local libvirt; then 200 hosts at once, and what each costs in memory. One run, in turns.
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Client } from "ssh2";
import { type Sshd, startSshd } from "../lab/sshd.ts";
import { startServer, type TestServer } from "../server.ts";
import { type Contender, compare, type Figures, memory, report } from "./measure.ts";

if (process.env.HYPERSDK_LAB !== "1") throw new Error("it makes networks: npm run bench:ssh");

const load = loadavg()[0] ?? 0;
const CALLERS = [1, 16];
const HOSTS = 200;
const run = promisify(execFile);
const folder = await mkdtemp(join(tmpdir(), "bench-ssh-"));
const QUESTION = ["virsh", "-q", "net-list", "--all"];

for (const name of ["default", "lan"]) {
  const file = join(folder, `${name}.xml`);
  await writeFile(file, `<network><name>${name}</name></network>`);
  await run("virsh", ["-q", "net-define", file]);
}

async function ask(server: TestServer, host: string) {
  const { status, body } = await server.get(`/libvirt/networks?host=${host}`);
  if (status !== 200) throw new Error(`${host}: ${JSON.stringify(body)}`);
  return body.data;
}

/** A server whose `hypersdk.toml` has these hosts. */
async function serve(name: string, hosts: Record<string, string>) {
  const config = join(folder, name);
  const lines = Object.entries(hosts).map(([alias, uri]) => `[hosts.${alias}]\nuri = "${uri}"`);
  await writeFile(config, lines.join("\n"));
  return startServer({ HYPERSDK_CONFIG: config, LIBVIRT_DEFAULT_URI: "qemu:///system" });
}

/** `ssh` itself, with the keys that we use, as a program that virsh can call too. */
async function sshProgram({ port, key, knownHosts }: Sshd) {
  const file = join(folder, "ssh");
  const options = `-F none -i ${key} -o UserKnownHostsFile=${knownHosts} -p ${port}`;
  await writeFile(file, `#!/bin/sh\nexec ssh ${options} "$@"\n`);
  await chmod(file, 0o755);
  return file;
}

function connect({ port, key }: Sshd): Promise<Client> {
  const client = new Client();
  return new Promise((resolve, reject) => {
    client.once("ready", () => resolve(client)).once("error", reject);
    const privateKey = readFileSync(key);
    client.connect({ host: "127.0.0.1", port, username: "root", privateKey });
  });
}

function exec(client: Client): Promise<void> {
  return new Promise((resolve, reject) => {
    client.exec(QUESTION.join(" "), (error, channel) => {
      if (error) return reject(error);
      let text = "";
      channel.on("data", (data: Buffer) => {
        text += data;
      });
      channel.once("close", () =>
        text.includes("lan") ? resolve() : reject(new Error(`no answer: ${text}`)),
      );
    });
  });
}

/** 16 of the others at once are more than sshd's defaults allow, which are enough for ours. */
const sshd = await startSshd({ config: ["MaxStartups 100", "MaxSessions 32"] });
const server = await serve("one.toml", { kvm1: sshd.uri() });
const ssh = await sshProgram(sshd);
const client = await connect(sshd);
const remote = `qemu+ssh://root@127.0.0.1/system?command=${ssh}`;

const results: (Figures & { callers: number })[] = [];
for (const callers of CALLERS) {
  const one = callers === 1;
  const contenders: Contender[] = [
    { name: "ours", calls: one ? 40 : 10, call: () => ask(server, "kvm1") },
    { name: "local", calls: one ? 40 : 10, call: () => ask(server, "local") },
    { name: "ssh2 exec", calls: one ? 4 : 1, call: () => exec(client) },
    { name: "ssh", calls: 1, call: () => run(ssh, ["root@127.0.0.1", ...QUESTION]) },
    {
      name: "virsh -c qemu+ssh",
      calls: 1,
      call: () => run("virsh", ["-c", remote, ...QUESTION.slice(1)]),
    },
  ];
  const figures = await compare(contenders, { callers, rounds: one ? 15 : 5 });
  results.push(...figures.map((each) => ({ callers, ...each })));
}
client.end();
await server.stop();
await sshd.stop();

/** All hosts are one sshd with its defaults, and each has a connection and a virsh of its own. */
async function fleet() {
  const many = await startSshd();
  const uri = many.uri("test", "/default");
  const names = ["local", ...Array.from({ length: HOSTS - 1 }, (_, i) => `kvm${i}`)];
  const all = await serve("many.toml", Object.fromEntries(names.map((name) => [name, uri])));
  await ask(all, "local"); // the server looks for its default host as it starts
  const [ours, theirs] = [memory(all.pid), memory(many.pid())];
  const calls: { seconds: number; answered: number }[] = [];
  for (let i = 0; i < 3; i++) {
    const began = performance.now();
    const { hosts } = await ask(all, "*");
    const seconds = (performance.now() - began) / 1000;
    const good = hosts.filter(({ data }: { data?: { total: number } }) => data?.total === 1);
    calls.push({ seconds, answered: good.length });
  }
  const [oursNow, theirsNow] = [memory(all.pid), memory(many.pid())];
  const throttled = /MaxStartups throttling/.test(many.log());
  await all.stop();
  await many.stop();
  return {
    hosts: HOSTS,
    calls,
    logins_throttled: throttled,
    our_mb: oursNow.pss_mb,
    our_mb_per_host: (oursNow.pss_mb - ours.pss_mb) / (HOSTS - 1),
    remote_processes_per_host: (theirsNow.processes - theirs.processes) / (HOSTS - 1),
    remote_mb_per_host: (theirsNow.pss_mb - theirs.pss_mb) / (HOSTS - 1),
  };
}
const hosts = await fleet();
const [first, second] = hosts.calls as [(typeof hosts.calls)[0], (typeof hosts.calls)[0]];
await rm(folder, { recursive: true });

const median = (callers: number, contender: string) =>
  results.find((one) => one.callers === callers && one.contender === contender)?.median_ms ??
  Number.NaN;
const ratios = CALLERS.map((callers) => {
  const ours = median(callers, "ours");
  return {
    callers,
    "times faster than ssh": median(callers, "ssh") / ours,
    "times faster than virsh -c qemu+ssh": median(callers, "virsh -c qemu+ssh") / ours,
    "times faster than ssh2 exec": median(callers, "ssh2 exec") / ours,
    "times local": ours / median(callers, "local"),
  };
});
const [alone] = ratios as [(typeof ratios)[0]];
const atLeast = (target: string, value: number, least: number) => ({
  target: `1 caller: at least ${least} ${target}`,
  value,
  met: value >= least,
});
report({
  cpus: cpus().length,
  load_before: Math.round(load * 10) / 10,
  virsh: (await run("virsh", ["--version"])).stdout.trim(),
  note: "memory is PSS; of fewer than 100 calls the p99 is the slowest",
  fleet: hosts,
  results,
  ratios,
  targets: [
    atLeast("times faster than ssh", alone["times faster than ssh"], 100),
    atLeast(
      "times faster than virsh -c qemu+ssh",
      alone["times faster than virsh -c qemu+ssh"],
      100,
    ),
    atLeast("times faster than ssh2 exec", alone["times faster than ssh2 exec"], 20),
    {
      target: "1 caller: at most 3 times local",
      value: alone["times local"],
      met: alone["times local"] <= 3,
    },
    {
      target: `${HOSTS} hosts: all answer, twice in a row`,
      value: Math.min(first.answered, second.answered),
      met: first.answered === HOSTS && second.answered === HOSTS,
    },
    {
      target: `${HOSTS} hosts, warm: under 2 s`,
      value: second.seconds,
      met: second.seconds < 2,
    },
    {
      target: "logins that sshd threw out (MaxStartups): none",
      value: Number(hosts.logins_throttled),
      met: !hosts.logins_throttled,
    },
  ],
});
process.exit(0);
