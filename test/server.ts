/** Starts the real server on a free port, for tests that call it as its users do. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { isAsJob, jobAnswer, ownState } from "./as-job.ts";
import { slow } from "./fixtures/slowness.ts";
import { startSshd } from "./lab/sshd.ts";

export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks at whatever the answer holds
  body: any;
}

export interface TestServer {
  url: string;
  pid: number;
  /** Of the sshd through which it reaches libvirt; undefined when that is local. */
  sshd: number | undefined;
  /** Of libvirt through that sshd. */
  uri: string | undefined;
  /** All it has logged so far. */
  log(): string;
  get(path: string, init?: RequestInit): Promise<Answer>;
  post(path: string, body: unknown, init?: RequestInit): Promise<Answer>;
  stop(): Promise<void>;
}

/** `argv` after `program`, which is Bun; another file than the host is a function serving itself. */
export async function startServer(
  env: Record<string, string> = {},
  argv: string[] = [join(import.meta.dirname, "../runtime/serve.ts")],
  program = process.execPath,
): Promise<TestServer> {
  const sshd = await remote(env);
  const state = ownState(env);
  const child = spawn(program, argv, {
    env: {
      ...process.env,
      PORT: "0",
      LOG_LEVEL: "info",
      ...(sshd && { LIBVIRT_DEFAULT_URI: sshd.uri() }),
      ...env,
      ...state.env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      log += text;
    });
  }
  const url = await listening(child, () => log);
  const call = async (path: string, init?: RequestInit): Promise<Answer> => {
    const endless = { timeout: false, ...init }; // Bun gives up after 5 minutes, the test after its own time
    const response = await fetch(url + path, endless);
    return { status: response.status, headers: response.headers, body: await response.json() };
  };
  return {
    url,
    pid: child.pid as number,
    sshd: sshd?.pid(),
    uri: sshd?.uri(),
    log: () => log,
    get: call,
    async post(path, body, init) {
      const asJob = isAsJob(path, init);
      const json = {
        "Content-Type": "application/json",
        ...(asJob && { Prefer: "respond-async" }),
      };
      const options = { method: "POST", headers: json, body: JSON.stringify(body), ...init };
      const answer = await call(path, options);
      return asJob ? jobAnswer(answer, call) : answer;
    },
    async stop() {
      await new Promise<void>((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) {
          if (hasCrashed(child))
            console.error(`the server has crashed (${child.signalCode}):\n${log}`);
          return resolve();
        }
        child.once("close", () => resolve());
        child.kill("SIGTERM");
      });
      state.release();
      await sshd?.stop();
    },
  };
}

/** Ended by itself, and not by a signal that a test has sent. */
const hasCrashed = ({ exitCode, signalCode }: ChildProcess) =>
  exitCode === 1 || /^SIG(SEGV|ILL|ABRT|TRAP|BUS|FPE)$/.test(`${signalCode}`);

/** With `npm run test:remote` every server reaches the lab's libvirt over SSH; its programs find there what they find here. */
function remote(env: Record<string, string>) {
  if (process.env.HYPERSDK_REMOTE !== "1") return undefined;
  const known = Object.entries({ PATH: process.env.PATH, ...env });
  const there = known.filter(([name]) => name === "PATH" || /^LIBGUESTFS_/.test(name));
  const words = there.map(([name, value]) => `${name}=${value}`).join(" ");
  return startSshd({ config: [`SetEnv ${words}`, "MaxSessions 10"] });
}

async function listening(child: ChildProcess, log: () => string): Promise<string> {
  const until = Date.now() + slow(15_000);
  while (Date.now() < until) {
    const found = log().match(/https?:\/\/[\w.:[\]-]+:\d+|unix:\/\/[^\s"]+/);
    if (found) return found[0];
    if (child.exitCode !== null) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`the server did not start:\n${log()}`);
}
