/** The transport to the libvirt of this machine: processes started from an argv, never through a shell. */
import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { join } from "node:path";
import { HyperError } from "../core/errors.ts";
import { home } from "../core/paths.ts";
import { cancelled, collectOutput } from "./collect-output.ts";
import { overwrite, putText } from "./local-files.ts";
import { spawned } from "./spawned.ts";
import {
  type Channel,
  type ExecOptions,
  type ExecResult,
  type Terminal,
  type Transport,
  virshEnvironment,
  virshOptions,
} from "./transport.ts";

/** Without variables that put debug output into answers or translate them, and without our passphrases. */
function inherited() {
  const { LANGUAGE, VIRSH_DEBUG, VIRSH_LOG_FILE, ...rest } = process.env;
  return Object.fromEntries(Object.entries(rest).filter(([name]) => !/^HYPERSDK_SSH_/.test(name)));
}

export function localTransport(uri: string): Transport {
  const channels = new Set<Channel>();
  const children = new Set<ChildProcess>();
  const streams = new Set<Socket>();
  const terminals = new Set<Terminal>();
  return {
    uri,
    exec: (argv, options) => {
      const variables = { ...options.variables, LIBVIRT_DEFAULT_URI: uri };
      return runLocally(argv, options, variables, children);
    },
    async spawn(argv, options) {
      const variables = { ...options.variables, LIBVIRT_DEFAULT_URI: uri };
      const { child, name, exitCode } = await startLocally(argv, options, variables);
      children.add(child);
      exitCode.finally(() => children.delete(child));
      const { stdin, stdout, stderr } = child;
      return spawned({ name, stdin, stdout, stderr, exitCode, end: endOf(child) }, options);
    },
    async openSession() {
      const channel = await openSession(uri);
      channels.add(channel);
      channel.closed.then(() => channels.delete(channel));
      return channel;
    },
    async openStream(target, options) {
      const { openLocalStream } = await import("./streams.ts");
      return openLocalStream(target, options, streams);
    },
    async openTerminal(argv, options) {
      const { openLocalTerminal } = await import("./terminal.ts");
      const env = { ...inherited(), LC_ALL: "C", LIBVIRT_DEFAULT_URI: uri };
      return openLocalTerminal(argv, env, options, terminals);
    },
    async putText(content) {
      return putText(content);
    },
    async overwrite(path, content) {
      return overwrite(path, content);
    },
    async close() {
      for (const child of children) killGroup(child);
      for (const channel of channels) channel.kill();
      for (const socket of streams) socket.destroy();
      for (const terminal of terminals) terminal.kill();
      await Promise.all([...channels].map((channel) => channel.closed));
    },
  };
}

async function openSession(uri: string): Promise<Channel> {
  const cache = join(home(), ".cache", "hypersdk"); // else virsh would empty the user's own history
  const { XDG_RUNTIME_DIR, XDG_CACHE_HOME } = process.env;
  // without it libvirt would look for the user's session daemon in the cache
  const runtime = XDG_RUNTIME_DIR || XDG_CACHE_HOME || join(home(), ".cache");
  const folders = { XDG_CACHE_HOME: cache, XDG_RUNTIME_DIR: runtime };
  const env = { ...inherited(), ...folders, ...virshEnvironment(uri) };
  const child = spawn("virsh", virshOptions(uri), { env, detached: true });
  await started(child, "virsh");
  const { stdin, stdout, stderr } = child;
  stdin.on("error", () => {}); // `closed` reports a closed pipe
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

/** Rejects with a message that tells a missing program from one that cannot start. */
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

/** Children lead a process group (`detached`), so that everything they started ends with them. */
function killGroup(child: ChildProcess) {
  if (!child.pid) return;
  const group = `-${child.pid}`;
  if (child.spawnfile === "sudo") {
    // what runs through sudo, root alone may end
    spawn("sudo", ["-n", "kill", "-s", "KILL", "--", group]).on("error", () => {});
  }
  try {
    process.kill(Number(group), "SIGKILL");
  } catch {
    // already gone, or root's
  }
}

/** Runs a program on this machine. `children` holds it while it runs, so that its owner can end it. */
export async function runLocally(
  argv: string[],
  { input, ...options }: ExecOptions,
  variables: Record<string, string> = {},
  children = new Set<ChildProcess>(),
): Promise<ExecResult> {
  const { child, name, exitCode } = await startLocally(argv, options, variables);
  child.stdin.end(input ?? "");
  children.add(child);
  const { stdout, stderr } = child;
  try {
    return await collectOutput({ name, stdout, stderr, exitCode, end: endOf(child) }, options);
  } finally {
    children.delete(child);
  }
}

async function startLocally(
  [name = "", ...args]: string[],
  { signal }: Pick<ExecOptions, "signal">,
  variables: Record<string, string>,
) {
  if (signal?.aborted) throw cancelled(name);
  const env = { ...inherited(), ...variables, LC_ALL: "C" };
  const child = spawn(name, args, { env, detached: true });
  const exitCode = new Promise<number>((resolve) => {
    child.once("close", (code) => resolve(code ?? -1));
  });
  await started(child, name);
  child.stdin.on("error", () => {});
  return { child, name, exitCode };
}

const endOf = (child: ReturnType<typeof spawn>) => () => {
  killGroup(child);
  child.stdout?.destroy();
  child.stderr?.destroy();
};
