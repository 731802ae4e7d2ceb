/** Runs the command line as its users do: through its launcher, with pipes or on a terminal. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { slow } from "./fixtures/slowness.ts";

/** The folder that has `hypersdk`, for a PATH. */
export const LAUNCHER = join(import.meta.dirname, "../runtime/cli/hypersdk.sh");

export interface Run {
  env?: Record<string, string>;
  input?: string;
  cwd?: string;
  launcher?: string;
}

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
  ms: number;
}

export function hypersdk(args: string[], { env, input, cwd, launcher = LAUNCHER }: Run = {}) {
  return new Promise<Ran>((resolve, reject) => {
    const started = performance.now();
    const child = spawn(launcher, args, {
      env: { ...process.env, ...env },
      cwd,
      timeout: slow(60_000),
    });
    const ran: Ran = { code: null, stdout: "", stderr: "", ms: 0 };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => {
        ran[name] += text;
      });
    }
    child.stdin.on("error", () => {}).end(input ?? "");
    child.on("error", reject);
    child.on("close", (code) => resolve({ ...ran, code, ms: performance.now() - started }));
  });
}

export interface Terminal {
  pid: number;
  /** All that has been on the screen since `type` was last called. */
  screen(): string;
  type(text: string): void;
  /** Wait until the screen shows it. */
  shows(text: string | RegExp, seconds?: number): Promise<void>;
  ended: Promise<number>;
  close(): Promise<void>;
}

/** A program on a terminal of its own. */
export function onTerminal(argv: string[], { env, cwd }: Run = {}, columns = 120): Terminal {
  const decoder = new TextDecoder();
  let screen = "";
  const child = Bun.spawn(argv, {
    env: { ...process.env, TERM: "dumb", ...env },
    ...(cwd && { cwd }),
    terminal: {
      cols: columns,
      rows: 40,
      data(_terminal, data) {
        screen += decoder.decode(data, { stream: true });
      },
    },
  });
  return {
    pid: child.pid,
    screen: () => screen,
    type(text) {
      screen = "";
      child.terminal?.write(text);
    },
    async shows(text, seconds = 10) {
      const found = () => (typeof text === "string" ? screen.includes(text) : text.test(screen));
      for (const end = Date.now() + slow(seconds * 1000); !found(); await sleep(20)) {
        if (Date.now() > end) {
          throw new Error(`not within ${seconds} s: ${text}\nbut: ${JSON.stringify(screen)}`);
        }
      }
    },
    ended: child.exited,
    async close() {
      child.kill("SIGKILL");
      await child.exited;
      child.terminal?.close();
    },
  };
}
