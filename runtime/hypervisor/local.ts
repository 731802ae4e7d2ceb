/** The transport to the libvirt of this machine: processes started from an argv, never through a shell. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { closeSync, openSync, unlinkSync, writeSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HyperError } from "../core/errors.ts";
import { home } from "../core/paths.ts";
import {
  type Channel,
  type ExecOptions,
  type ExecResult,
  MAX_OUTPUT,
  type TextFile,
  type Transport,
  virshEnvironment,
  virshOptions,
} from "./transport.ts";

/** Debug output would stand in the middle of answers, and LANGUAGE translates them; ours holds passphrases. */
function inherited() {
  const { LANGUAGE, VIRSH_DEBUG, VIRSH_LOG_FILE, ...rest } = process.env;
  return Object.fromEntries(Object.entries(rest).filter(([name]) => !/^HYPERSDK_SSH_/.test(name)));
}

export function localTransport(uri: string): Transport {
  const channels = new Set<Channel>();
  const children = new Set<ChildProcess>();
  return {
    uri,
    exec: (argv, options) => exec(argv, options, { LIBVIRT_DEFAULT_URI: uri }, children),
    async openSession() {
      const channel = await openSession(uri);
      channels.add(channel);
      channel.closed.then(() => channels.delete(channel));
      return channel;
    },
    async putText(text) {
      return putText(text);
    },
    async close() {
      for (const child of children) killGroup(child);
      for (const channel of channels) channel.kill();
      await Promise.all([...channels].map((channel) => channel.closed));
    },
  };
}

async function openSession(uri: string): Promise<Channel> {
  const cache = join(home(), ".cache", "hypersdk"); // or virsh empties the person's own history
  const env = { ...inherited(), XDG_CACHE_HOME: cache, ...virshEnvironment(uri) };
  const child = spawn("virsh", virshOptions(uri), { env, detached: true });
  await started(child, "virsh");
  const { stdin, stdout, stderr } = child;
  stdin.on("error", () => {}); // a closed pipe is told by `closed`
  const handles = [child, stdout as Socket, stderr as Socket];
  return {
    stdin,
    stdout,
    stderr,
    closed: new Promise((resolve) => {
      child.once("close", (code, signal) =>
        resolve(`virsh ended with ${signal ?? `exit ${code}`}`),
      );
    }),
    kill: () => killGroup(child),
    ref(on) {
      for (const handle of handles) on ? handle.ref() : handle.unref();
    },
  };
}

/** Rejects with what to do when the program is not there. */
function started(child: ChildProcess, program: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (cause) => {
      const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
      const text = missing
        ? `${program} is not installed on this machine`
        : `${program} cannot start`;
      reject(new HyperError(program === "virsh" ? "unreachable" : "unsupported", text, { cause }));
    });
  });
}

/** Children lead a process group (`detached`), so what they started ends with them. */
function killGroup(child: ChildProcess) {
  try {
    if (child.pid) process.kill(-child.pid, "SIGKILL");
  } catch {
    // already gone
  }
}

async function exec(
  argv: string[],
  { timeout, input, signal }: ExecOptions,
  extra: Record<string, string>,
  children: Set<ChildProcess>,
): Promise<ExecResult> {
  const [program = "", ...args] = argv;
  const gone = () => new HyperError("cancelled", `${program} was cancelled`);
  if (signal?.aborted) throw gone();
  const env = { ...inherited(), ...extra, LC_ALL: "C" };
  const child = spawn(program, args, { env, detached: true });
  await started(child, program);
  child.stdin.on("error", () => {});
  child.stdin.end(input ?? "");
  const result: ExecResult = { stdout: "", stderr: "", exitCode: -1 };
  let timer: NodeJS.Timeout | undefined;
  let onAbort = () => {};
  children.add(child);
  try {
    result.exitCode = await new Promise<number>((resolve, reject) => {
      // Not after `close`: what left its group may hold the output open for as long as it likes.
      const cutOff = (error: HyperError) => {
        reject(error);
        killGroup(child);
        child.stdout.destroy();
        child.stderr.destroy();
      };
      for (const name of ["stdout", "stderr"] as const) {
        child[name].setEncoding("utf8").on("data", (text: string) => {
          result[name] += text;
          if (result[name].length <= MAX_OUTPUT) return;
          cutOff(
            new HyperError("command_failed", `${program} printed more than ${MAX_OUTPUT} bytes`),
          );
        });
      }
      onAbort = () => cutOff(gone());
      signal?.addEventListener("abort", onAbort, { once: true });
      if (signal?.aborted) onAbort(); // while it started
      const late = `${program} took longer than ${timeout / 1000} s`;
      timer = setTimeout(() => cutOff(new HyperError("timed_out", late)), timeout);
      child.once("close", (code) => resolve(code ?? -1));
    });
    return result;
  } finally {
    children.delete(child);
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

/** The file has no name any more when virsh reads it, so nobody else can open it and nothing is left behind. */
function putText(text: string): TextFile {
  const name = join(tmpdir(), `hypersdk-${randomUUID()}`);
  const file = openSync(name, "wx+", 0o600);
  unlinkSync(name);
  writeSync(file, text);
  return { path: `/proc/${process.pid}/fd/${file}`, remove: () => closeSync(file) };
}
