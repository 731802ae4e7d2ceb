/**
 * One lane, within a lab of its own: runs the jobs that arrive on standard input, one after the other, and resets the
 * lab after each. A job is a line of JSON, the arguments of vitest; the answer is a line of JSON on descriptor 1.
 * Started by all.mjs.
 */
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import measureSlowness, { slow } from "../fixtures/slowness.ts";
import { baseline, reset } from "./reset.ts";

const VITEST = [
  "--bun",
  "run",
  "vitest",
  "run",
  "--config",
  "test/vitest.config.ts",
  "--reporter=verbose",
];
/** Until a job that hangs is ended. */
const JOB_TIMEOUT_MS = 900_000;
/** Each file is measured anew, unless it was given. */
const env = { ...process.env, HYPERSDK_SLOW: process.env.HYPERSDK_SLOW ?? "" };
const INSPECT = process.env.HYPERSDK_INSPECT === "1";

/** What all.mjs reads: whether a job passed, and what it has printed. */
export interface Result {
  passed: boolean;
  output: string;
  seconds: number;
  /** Time on a core: of its processes, and of the lab's daemons and machines meanwhile. */
  cpuSeconds: number;
  /** What it has left, and could not be removed. */
  left: string[];
}

/** The kernel counts time on a core in ticks of 10 ms. */
const TICKS_PER_SECOND = 100;

/** What every process of the lab, and the ended ones that each has waited for, have spent on a core. */
function cpuSeconds(): number {
  let ticks = 0;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      // after the name in parentheses, from the 12th: utime, stime, and both of those waited for
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
      for (const field of fields.slice(11, 15)) ticks += Number(field);
    } catch {
      // it has ended
    }
  }
  return ticks / TICKS_PER_SECOND;
}

function vitest(job: string[]): Promise<Omit<Result, "left" | "cpuSeconds">> {
  const began = performance.now();
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...VITEST, ...job], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: slow(JOB_TIMEOUT_MS),
      killSignal: "SIGKILL",
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    // "exit", since a process that a test has left may hold its output open
    child.on("exit", (code, signal) => {
      const seconds = (performance.now() - began) / 1000;
      if (signal) output += `\nended by ${signal} after ${seconds.toFixed()} s\n`;
      setTimeout(() => resolve({ passed: code === 0, output, seconds }), 50);
    });
  });
}

/** Node's readline ends a line at these, too, and names in tests hold them. */
const oneLine = (result: Result) =>
  JSON.stringify(result).replace(/[\u2028\u2029]/g, (one) =>
    one === "\u2028" ? "\\u2028" : "\\u2029",
  );

measureSlowness(); // for the waits of the reset
const start = await baseline();
for await (const line of createInterface({ input: process.stdin })) {
  const before = cpuSeconds();
  const result: Result = { ...(await vitest(JSON.parse(line))), cpuSeconds: 0, left: [] };
  const keep = INSPECT && !result.passed;
  if (!keep) result.left = await reset(start).catch((error) => [`the reset failed: ${error}`]);
  if (result.left.length > 0) result.passed = false;
  result.cpuSeconds = cpuSeconds() - before; // with the reset, by when its machines have ended
  process.stdout.write(`${oneLine(result)}\n`);
  // what is left would meet the next file, so this lab is not used again
  if (keep || result.left.length > 0) process.exit(1);
}
