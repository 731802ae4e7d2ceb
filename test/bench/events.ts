/**
 * `npm run bench:events` (`-- --json`): how much later than `virsh event` in a pipe a listener hears of an event; 2,000
 * events a second to 100 listeners; and what listeners cost while nothing happens. One run.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { eventTeller } from "../fixtures/event-teller.ts";
import { defineDomain, virsh } from "../fixtures/live/virsh.ts";
import { startServer, type TestServer } from "../server.ts";
import { memory, quantile, table } from "./measure.ts";

const EVENTS = 300;
const LISTENERS = 100;
const RATE = 2000;
const SECONDS = 10;
const load = loadavg()[0] ?? 0;
const round = (n: number) => Math.round(n * 100) / 100;

/** Calls `line` with each whole line, when it has come. */
function onLines(line: (text: string, at: number) => void) {
  let rest = "";
  return (data: string) => {
    const at = performance.now();
    const lines = (rest + data).split("\n");
    rest = lines.pop() ?? "";
    for (const one of lines) line(one, at);
  };
}

const AGENT = /virsh-(\d+)\b/;

/** When each numbered event came, by `virsh event` in a pipe and by our stream, in milliseconds. */
async function latency() {
  const server = await startServer();
  await defineDomain("told");
  const [piped, streamed] = [new Map<number, number>(), new Map<number, number>()];
  const note = (map: Map<number, number>) => (text: string, at: number) => {
    const [, n] = AGENT.exec(text) ?? [];
    if (n !== undefined && text.includes("metadata-change") && !map.has(Number(n)))
      map.set(Number(n), at);
  };
  const child = spawn("virsh", ["-q", "event", "--all", "--loop", "--timestamp"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  child.stdout.setEncoding("utf8").on("data", onLines(note(piped)));
  const stop = new AbortController();
  const response = await fetch(`${server.url}/events?kind=domain`, { signal: stop.signal });
  const take = onLines(note(streamed));
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const bytes of response.body as unknown as AsyncIterable<Uint8Array>)
      take(decoder.decode(bytes, { stream: true }));
  })().catch(() => {});
  await sleep(2000);
  for (let n = 0; n < EVENTS; n++) {
    await virsh(
      ...["metadata", "--domain", "told", "--uri", `urn:virsh-${n}`, "--key", "k", "--set", "<a/>"],
      "--config",
    );
  }
  await sleep(1000);
  stop.abort();
  child.kill();
  await reading;
  await server.stop();
  await virsh("undefine", "--domain", "told");
  const later = [...piped].flatMap(([n, at]) => {
    const ours = streamed.get(n);
    return ours === undefined ? [] : [ours - at];
  });
  later.sort((a, b) => a - b);
  return {
    events: EVENTS,
    by_virsh: piped.size,
    by_us: streamed.size,
    later_p50_ms: round(quantile(later, 0.5)),
    later_p99_ms: round(quantile(later, 0.99)),
  };
}

const ticks = (pid: number) => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
  return Number(fields[11]) + Number(fields[12]); // utime, stime, of 10 ms
};

function listeners(server: TestServer, wanted: number) {
  const file = join(import.meta.dirname, "event-listeners.ts");
  const child = spawn("bun", [file, server.url, `${LISTENERS}`, `${wanted}`], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines: string[] = [];
  const waiting: (() => void)[] = [];
  child.stdout.setEncoding("utf8").on(
    "data",
    onLines((line) => {
      lines.push(line);
      waiting.shift()?.();
    }),
  );
  const next = async () => {
    if (lines.length === 0) await new Promise<void>((resolve) => waiting.push(resolve));
    return `${lines.shift()}`;
  };
  return { next, end: () => void child.stdin.end() };
}

/** For what is compiled and collected after a start, with listeners or without. */
const SETTLE_MS = 30_000;

async function idleCpu(pid: number) {
  await sleep(SETTLE_MS);
  const before = ticks(pid);
  await sleep(3 * 10_000);
  return round(((ticks(pid) - before) * 10) / 3);
}

async function flood() {
  const teller = eventTeller();
  const server = await startServer({
    PATH: `${teller.folder}:${process.env.PATH}`,
    LIBVIRT_DEFAULT_URI: "qemu:///system",
  });
  const total = RATE * SECONDS;
  const alone = await idleCpu(server.pid);
  const all = listeners(server, total);
  await all.next(); // all have begun
  const idle = await idleCpu(server.pid);
  const { rss_mb } = memory(server.pid);
  const before = ticks(server.pid);
  const began = performance.now();
  for (let n = 0; n < total; ) {
    const due = Math.min(total, Math.floor(((performance.now() - began) / 1000) * RATE));
    for (; n < due; n++) teller.lifecycle(`flood-${n}`);
    await sleep(2);
  }
  const late = sleep(60_000).then(() => all.end());
  const counts: number[] = JSON.parse(
    await Promise.race([all.next(), late.then(() => all.next())]),
  );
  const seconds = (performance.now() - began) / 1000;
  const cpu = ((ticks(server.pid) - before) * 10) / 1000;
  const sessions = teller.pids().length;
  const after = memory(server.pid).rss_mb;
  all.end();
  await server.stop();
  teller.remove();
  return {
    listeners: LISTENERS,
    idle_cpu_ms_in_10_s: idle,
    without_listeners: alone,
    events: total,
    least_heard: Math.min(...counts),
    most_heard: Math.max(...counts),
    seconds: round(seconds),
    server_cpu_s: round(cpu),
    sessions,
    rss_mb: [Math.round(rss_mb), Math.round(after)],
  };
}

const asJson = process.argv.includes("--json");
const told = await latency();
if (!asJson) console.log(`load before: ${round(load)}\n${table([told])}`);
const flooded = await flood();
const { rss_mb, ...rest } = flooded;
if (asJson) console.log(JSON.stringify({ load, latency: told, flood: flooded }));
else console.log(table([{ ...rest, rss_mb: rss_mb.join(" then ") }]));
process.exit();
