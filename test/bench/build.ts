/**
 * `npm run bench:build` (`-- --json`): what `hypersdk build` makes, against the least that a Bun server can be.
 * Each is started, asked one thing and killed, in turns; the time is from its start to the last byte of its first
 * answer. The lab's libvirtd answers what is asked of a hypervisor.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { bundle } from "../../runtime/build/bundle.ts";
import { select } from "../../runtime/build/select.ts";
import { memory, quantile, report } from "./measure.ts";

if (process.env.HYPERSDK_LAB !== "1") throw new Error("it asks a hypervisor: npm run bench:build");

const ROUNDS = 61;
/** The first answer of a bundle takes at most so many times that of a bare `Bun.serve`. */
const MAX_RATIO = 2.2;
const ROOT = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "bench-build-"));

/** Answers a constant; and the same for every virsh that it starts. */
const BARE = `Bun.serve({ port: Number(process.env.PORT), hostname: "127.0.0.1", fetch: () => Response.json({ status: "success" }) });`;
const SPAWNING = `Bun.serve({ port: Number(process.env.PORT), hostname: "127.0.0.1", async fetch() {
  const virsh = Bun.spawn(["virsh", "-q", "net-list", "--all"]);
  const text = await virsh.stdout.text();
  await virsh.exited;
  return Response.json({ status: "success", networks: text.split("\\n") });
} });`;

interface Contender {
  name: string;
  argv: string[];
  path: string;
  files: string[];
}

async function contenders(): Promise<Contender[]> {
  writeFileSync(join(folder, "bare.js"), BARE);
  writeFileSync(join(folder, "spawning.js"), SPAWNING);
  for (const name of ["health", "libvirt/networks", "."]) {
    await bundle(await select(name), folder, { compile: name !== "." });
  }
  const bun = process.execPath;
  const at = (name: string) => join(folder, name);
  const made = (name: string, path: string): Contender[] => [
    {
      name: `${path}: bundle`,
      argv: [bun, "--no-env-file", at(`${name}.js`)],
      path,
      files: [at(`${name}.js`), at(`${name}.js.jsc`)],
    },
    { name: `${path}: executable`, argv: [at(name)], path, files: [at(name)] },
    { name: `${path}: source`, argv: [bun, join(ROOT, `functions${path}.ts`)], path, files: [] },
  ];
  return [
    { name: "bare Bun.serve", argv: [bun, at("bare.js")], path: "/", files: [at("bare.js")] },
    ...made("health", "/health"),
    {
      name: "bare Bun.serve that starts virsh",
      argv: [bun, at("spawning.js")],
      path: "/",
      files: [at("spawning.js")],
    },
    ...made("libvirt-networks", "/libvirt/networks"),
    {
      name: "all functions, /health: bundle",
      argv: [bun, "--no-env-file", at("hypersdk.js")],
      path: "/health",
      files: [at("hypersdk.js"), at("hypersdk.js.jsc")],
    },
  ];
}

/** One whole answer; undefined while nobody listens. */
function ask(port: number, path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let text = "";
    socket.on("data", (data) => {
      text += data;
    });
    socket.on("error", () => resolve(undefined));
    socket.on("close", () => resolve(text || undefined));
    socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`);
  });
}

let port = 20_000 + (process.pid % 10_000);

async function first({ name, argv, path }: Contender) {
  const [program = "", ...args] = argv;
  port++;
  const began = performance.now();
  const child = spawn(program, args, {
    cwd: folder,
    env: { ...process.env, PORT: `${port}`, LOG_LEVEL: "warn" },
    stdio: ["ignore", "ignore", "inherit"],
  });
  try {
    let answer: string | undefined;
    while (answer === undefined) {
      answer = await ask(port, path);
      if (answer === undefined) await sleep(0.2);
      if (performance.now() - began > 20_000) throw new Error(`${name} does not answer`);
    }
    const ms = performance.now() - began;
    if (!answer.startsWith("HTTP/1.1 200 ")) throw new Error(`${name}: ${answer}`);
    return { ms, ...memory(child.pid as number) };
  } finally {
    await ended(child);
  }
}

async function ended(child: ChildProcess) {
  const closed = once(child, "close");
  child.kill("SIGKILL");
  await closed;
}

const all = await contenders();
try {
  const taken = all.map(() => [] as Awaited<ReturnType<typeof first>>[]);
  for (let round = 0; round < ROUNDS; round++) {
    for (let turn = 0; turn < all.length; turn++) {
      const i = (round + turn) % all.length;
      taken[i]?.push(await first(all[i] as Contender));
    }
  }
  const median = (i: number, key: "ms" | "pss_mb" | "rss_mb") => sorted(i, key)[ROUNDS >> 1] ?? 0;
  const sorted = (i: number, key: "ms" | "pss_mb" | "rss_mb") =>
    (taken[i] ?? []).map((one) => one[key]).sort((a, b) => a - b);
  const results = all.map(({ name, files }, i) => ({
    contender: name,
    first_answer_ms: median(i, "ms"),
    p90_ms: quantile(sorted(i, "ms"), 0.9),
    pss_mb: median(i, "pss_mb"),
    rss_mb: median(i, "rss_mb"),
    size_kb: files.reduce((sum, file) => sum + statSync(file).size, 0) / 1000,
  }));
  const ms = (name: string) =>
    results.find(({ contender }) => contender === name)?.first_answer_ms ?? 0;
  const ratio = (name: string, base: string) => ({
    what: `${name} / ${base}`,
    times: ms(name) / ms(base),
  });
  const ratios = [
    ratio("/health: bundle", "bare Bun.serve"),
    ratio("/health: executable", "bare Bun.serve"),
    ratio("/libvirt/networks: bundle", "bare Bun.serve that starts virsh"),
    ratio("/libvirt/networks: executable", "bare Bun.serve that starts virsh"),
    ratio("/libvirt/networks: bundle", "bare Bun.serve"),
  ];
  const size = statSync(join(folder, "libvirt-networks.js")).size;
  const targets = [
    ...ratios.slice(0, 4).map(({ what, times }) => ({
      target: `${what} < ${MAX_RATIO}`,
      value: times,
      met: times < MAX_RATIO,
    })),
    { target: "bundle of one function < 1 MB", value: size / 1e6, met: size < 1e6 },
  ];
  report({ rounds: ROUNDS, results, ratios, targets });
} finally {
  rmSync(folder, { recursive: true });
}
