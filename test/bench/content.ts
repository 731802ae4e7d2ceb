/**
 * `npm run bench:content` (`-- --json`): 1 GiB into a volume and out of it through HTTP, against `virsh vol-upload` and
 * `vol-download`, local and over SSH (sshd on loopback, `qemu+ssh`), in turns; `--size=2` for another number of GiB.
 * `--whole=20` besides streams so many GiB in and out, compares their checksums, and needs as much of /tmp.
 */
import { execFile, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Sshd, startSshd } from "../lab/sshd.ts";
import { startServer, type TestServer } from "../server.ts";
import { type Contender, compare, report } from "./measure.ts";

if (process.env.HYPERSDK_LAB !== "1") throw new Error("it makes volumes: npm run bench:content");

const option = (name: string, preset: number) =>
  Number(process.argv.find((word) => word.startsWith(`--${name}=`))?.split("=")[1] ?? preset);
const GIB = 2 ** 30;
const SIZE = Math.round(option("size", 1) * GIB);
const WHOLE = Math.round(option("whole", 0) * GIB);
const ROUNDS = 5;
const MAX_MB = 200;
const load = loadavg()[0] ?? 0;
const run = promisify(execFile);
const folder = await mkdtemp(join(tmpdir(), "bench-content-"));
const source = "/run/bench-source";
const sink = "/run/bench-sink";

async function sh(script: string, ...words: string[]): Promise<string> {
  const child = spawn("bash", ["-euo", "pipefail", "-c", script, "bash", ...words]);
  let [out, errors] = ["", ""];
  child.stdout.on("data", (text) => {
    out += text;
  });
  child.stderr.on("data", (text) => {
    errors += text;
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`${script}: ${errors || out}`);
  return out;
}

/** `ssh` with the key that we use, as a program that virsh can call too. */
async function sshProgram({ port, key, knownHosts }: Sshd) {
  const file = join(folder, "ssh");
  const options = `-F none -i ${key} -o UserKnownHostsFile=${knownHosts} -p ${port}`;
  writeFileSync(file, `#!/bin/sh\nexec ssh ${options} "$@"\n`);
  await chmod(file, 0o755);
  return `qemu+ssh://root@127.0.0.1/system?command=${file}`;
}

/** The most that the server's process has taken since `forget`, in MB. */
const forget = ({ pid }: TestServer) => writeFileSync(`/proc/${pid}/clear_refs`, "5");
const peak = ({ pid }: TestServer) =>
  Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;

const sshd = await startSshd();
const config = join(folder, "hypersdk.toml");
writeFileSync(config, `[hosts.kvm1]\nuri = "${sshd.uri()}"\n`);
const server = await startServer({
  HYPERSDK_CONFIG: config,
  LIBVIRT_DEFAULT_URI: "qemu:///system",
});
const WAYS = [
  { way: "local", host: "local", uri: "qemu:///system" },
  { way: "ssh", host: "kvm1", uri: await sshProgram(sshd) },
];
const url = (host: string, volume: string, pool = "default") =>
  `${server.url}/libvirt/volume/content?host=${host}&pool=${pool}&volume=${volume}`;
const remove = (volume: string) => run("virsh", ["vol-delete", "--pool", "default", volume]);

await sh(`head -c ${SIZE} /dev/urandom >${source}`);
const results: object[] = [];
const speeds = new Map<string, number>();
forget(server);
for (const { way, host, uri } of WAYS) {
  const virsh = (...words: string[]) => run("virsh", ["-q", "-c", uri, ...words]);
  const fresh = (volume: string) => () => remove(volume).catch(() => {}); // before the first round there is none
  const ups: Contender[] = [
    {
      ...{ name: "PUT", calls: 1, warm: 0, before: fresh("ours") },
      call: () => sh(`curl -sSf -o /dev/null -T ${source} "$1"`, url(host, "ours")),
    },
    {
      ...{ name: "virsh vol-upload", calls: 1, warm: 0, before: fresh("theirs") },
      async call() {
        await virsh("vol-create-as", "default", "theirs", `${SIZE}b`, "--format", "raw");
        await virsh("vol-upload", "--pool", "default", "theirs", source);
      },
    },
  ];
  const downs: Contender[] = [
    {
      ...{ name: "GET", calls: 1, warm: 0 },
      call: () => sh(`curl -sSf -o ${sink} "$1"`, url(host, "ours")),
    },
    {
      ...{ name: "virsh vol-download", calls: 1, warm: 0 },
      call: () => virsh("vol-download", "--pool", "default", "theirs", sink),
    },
  ];
  for (const contenders of [ups, downs]) {
    for (const one of await compare(contenders, { callers: 1, rounds: ROUNDS })) {
      const mib_per_second = SIZE / 2 ** 20 / (one.median_ms / 1000);
      speeds.set(`${way} ${one.contender}`, mib_per_second);
      results.push({ way, contender: one.contender, median_ms: one.median_ms, mib_per_second });
    }
    await sh(`cmp ${source} /var/lib/libvirt/images/ours`);
    await rm(sink, { force: true });
  }
  for (const volume of ["ours", "theirs"]) await remove(volume);
}
await rm(source);
const memory = [{ what: `${SIZE / GIB} GiB`, server_mb: peak(server) }];

/** Bytes that nothing can compress, and that need no place: a cipher's stream. */
const STREAM = `head -c ${WHOLE} /dev/zero | openssl enc -aes-128-ctr -nosalt -K 00 -iv 00 2>/dev/null`;

/** Streams so much in and out that it could be nowhere in memory. */
async function whole({ way, host }: (typeof WAYS)[number]) {
  const pool = join(folder, "pool");
  await mkdir(pool);
  await run("virsh", ["pool-create-as", "whole", "dir", "--target", pool]);
  forget(server);
  const began = performance.now();
  const into = `${STREAM} | tee >(sha256sum >${folder}/in) | curl -sSf -o /dev/null -T - "$1"; wait`;
  await sh(into, url(host, "big", "whole"));
  const up = performance.now();
  const out = await sh(`curl -sSf "$1" | sha256sum`, url(host, "big", "whole"));
  const down = performance.now();
  const same = out === readFileSync(`${folder}/in`, "utf8");
  const speed = (ms: number) => WHOLE / 2 ** 20 / (ms / 1000);
  results.push(
    {
      way,
      contender: `PUT ${WHOLE / GIB} GiB`,
      median_ms: up - began,
      mib_per_second: speed(up - began),
    },
    {
      way,
      contender: `GET ${WHOLE / GIB} GiB`,
      median_ms: down - up,
      mib_per_second: speed(down - up),
    },
  );
  memory.push({ what: `${WHOLE / GIB} GiB, ${way}`, server_mb: peak(server) });
  await run("virsh", ["vol-delete", "--pool", "whole", "big"]);
  await run("virsh", ["pool-destroy", "whole"]);
  await rm(pool, { recursive: true });
  return {
    target: `${way}: ${WHOLE / GIB} GiB equal byte for byte`,
    value: Number(same),
    met: same,
  };
}
const equal = [];
if (WHOLE > 0) for (const way of WAYS) equal.push(await whole(way));

await server.stop();
await sshd.stop();
await rm(folder, { recursive: true });

const ratio = (way: string, ours: string, theirs: string) =>
  (speeds.get(`${way} ${ours}`) ?? 0) / (speeds.get(`${way} ${theirs}`) ?? Number.NaN);
const ratios = WAYS.map(({ way }) => ({
  way,
  "PUT, times vol-upload": ratio(way, "PUT", "virsh vol-upload"),
  "GET, times vol-download": ratio(way, "GET", "virsh vol-download"),
}));
const most = Math.max(...memory.map((one) => one.server_mb));
report({
  cpus: cpus().length,
  load_before: Math.round(load * 10) / 10,
  virsh: (await run("virsh", ["--version"])).stdout.trim(),
  memory,
  results,
  ratios,
  targets: [
    ...ratios.map((one) => ({
      target: `${one.way}: at least as fast as vol-upload`,
      value: one["PUT, times vol-upload"],
      met: one["PUT, times vol-upload"] >= 1,
    })),
    ...ratios.map((one) => ({
      target: `${one.way}: at least as fast as vol-download`,
      value: one["GET, times vol-download"],
      met: one["GET, times vol-download"] >= 1,
    })),
    ...equal,
    { target: `server: under ${MAX_MB} MB`, value: most, met: most < MAX_MB },
  ],
});
process.exit(0);
