/** The transport to a remote hypervisor: sessions and commands are channels of one SSH connection. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pLimit from "p-limit";
import type { ClientChannel } from "ssh2";
import type { Config } from "../../core/config.ts";
import { HyperError } from "../../core/errors.ts";
import { remoteUri } from "../../core/libvirt-uri.ts";
import {
  type Channel,
  type ExecOptions,
  type ExecResult,
  MAX_OUTPUT,
  type Transport,
  virshEnvironment,
  virshOptions,
} from "../transport.ts";
import { Connection } from "./connection.ts";
import { type Remote, word } from "./shell.ts";

/** More than sshd's 10 channels have room for (MaxSessions): idle sessions make room for what is wanted. */
const LANES = { read: 3, stats: 5, change: 2, agent: 1 };
const LONG_COMMANDS = 2;
/** Milliseconds: what may take longer than this counts as long, and holds up nothing short. */
const SHORT = 60_000;
/** Milliseconds until the channel of a program that was killed is closed, whether it has ended or not. */
const PATIENCE = 2000;

/** What every remote script begins with: its process group, so that it can be ended, told with its id ($0). */
const HELLO = [
  "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin && export PATH",
  "unset LANGUAGE VIRSH_DEBUG VIRSH_LOG_FILE",
  'command -v "$1" >/dev/null || { echo "$0 missing" && exit 127; }',
  'read -r _ _ _ _ g _ </proc/$$/stat && echo "$0 $g"',
];

const SESSION = [...HELLO, 'exec env "XDG_CACHE_HOME=$HOME/.cache/hypersdk" "HYPERSDK_ID=$0" "$@"'];

/**
 * Begins with the first line of input, so that what was lost before has not begun. The end of the input,
 * which a lost connection brings too, ends the command; its own input is $I.
 */
const COMMAND = [
  ...HELLO,
  "read -r _ || exit 1",
  'exec 3<&0; "$@" <"$I" & c=$!',
  '{ while read -r _; do :; done; kill -s KILL -- "-$g"; } <&3 >/dev/null 2>&1 & w=$!',
  "wait $c; s=$?; kill -s KILL $w; exit $s",
];

export function sshTransport(alias: string, uri: string, settings: Config["ssh"]): Transport {
  const connection = new Connection(alias, uri, settings);
  const short = pLimit(1);
  const long = pLimit(LONG_COMMANDS);
  const there = remoteUri(uri);
  return {
    uri: there,
    lanes: LANES,
    get connected() {
      return connection.connected;
    },
    set onFull(free: () => void) {
      connection.channels.onFull = free;
    },
    exec(argv, options) {
      const limit = options.timeout > SHORT ? long : short;
      return inTurn(limit, options, () => exec(connection, there, argv, options));
    },
    openSession: () => openSession(connection, there),
    async putText(text) {
      return used(connection, async () => (await connection.get()).shell.putText(text));
    },
    close: () => connection.close(),
  };
}

/** Waits for its turn; one whose caller has left is not begun. */
function inTurn<T>(
  limit: ReturnType<typeof pLimit>,
  { signal }: ExecOptions,
  work: () => Promise<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const gone = () => reject(new HyperError("cancelled", "the client disconnected"));
    if (signal?.aborted) return gone();
    signal?.addEventListener("abort", gone, { once: true });
    limit(async () => {
      if (!signal?.aborted) await work().then(resolve, reject);
    }).finally(() => signal?.removeEventListener("abort", gone));
  });
}

async function used<T>(connection: Connection, work: () => Promise<T>): Promise<T> {
  connection.ref(true);
  try {
    return await work();
  } finally {
    connection.ref(false);
  }
}

/** One command line for whatever shell the user logs in with. */
function command(script: string[], id: string, variables: Record<string, string>, argv: string[]) {
  const set = Object.entries(variables).map(([name, value]) => `${name}=${word(value)}`);
  return `exec env ${set.join(" ")} sh -c ${[script.join("; "), id, ...argv].map(word).join(" ")}`;
}

/** What a script tells first of all: its process group. Undefined when there is no such program. */
function greeting(
  channel: ClientChannel,
  id: string,
  timeout = 10_000,
): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    let text = "";
    const settle = (done: () => void) => {
      clearTimeout(timer);
      channel.pause(); // until somebody listens again
      channel.off("data", onData);
      channel.off("close", onClose);
      done();
    };
    const onData = (data: Buffer) => {
      text += data.toString("latin1");
      const found = new RegExp(`${id} (\\d+|missing)\n([^]*)$`).exec(text);
      if (!found) return;
      const [, said, rest = ""] = found;
      settle(() => resolve(said === "missing" ? undefined : Number(said)));
      if (rest) channel.unshift(Buffer.from(rest, "latin1"));
    };
    const fail = (why: string) => settle(() => reject(new HyperError("unreachable", why)));
    const onClose = () => fail("the SSH connection was lost");
    const timer = setTimeout(() => fail(`no shell answers within ${timeout / 1000} s`), timeout);
    channel.on("data", onData);
    channel.once("close", onClose);
  });
}

interface Begun {
  channel: ClientChannel;
  remote: Remote;
  /** Resolves at the channel's end: to how the program ended, or undefined when the connection was lost. */
  ended: Promise<{ code: number | null; signal?: string | undefined } | undefined>;
}

/** Starts a script there; resolves once the program is about to run. */
async function start(
  connection: Connection,
  [program = "", ...args]: string[],
  script: string[],
  variables: Record<string, string>,
): Promise<Begun> {
  const id = `hypersdk-${randomBytes(9).toString("hex")}`;
  const channel = await connection.open(command(script, id, variables, [program, ...args]));
  channel.on("error", () => {}); // told by `close`
  const ended: Begun["ended"] = new Promise((resolve) => {
    let exit: Awaited<Begun["ended"]>;
    channel.once("exit", (code: number | null, signal?: string) => {
      exit = { code, signal };
    });
    channel.once("close", () => resolve(exit));
  });
  const { alias } = connection;
  const group = await greeting(channel, id).catch((cause) => {
    channel.close();
    throw new HyperError("unreachable", `hypervisor ${alias}: ${cause.message}`, { cause });
  });
  if (group === undefined) {
    const code = program === "virsh" ? "unreachable" : "unsupported";
    throw new HyperError(code, `${program} is not installed on hypervisor ${alias}`);
  }
  const remote = { group, id };
  connection.running.add(remote);
  channel.once("exit", () => connection.running.delete(remote));
  return { channel, remote, ended };
}

function openSession(connection: Connection, uri: string): Promise<Channel> {
  return used(connection, async () => {
    const argv = ["virsh", ...virshOptions(uri)];
    const { channel, remote, ended } = await start(
      connection,
      argv,
      SESSION,
      virshEnvironment(uri),
    );
    let held = false;
    const ref = (on: boolean) => {
      if (on !== held) connection.ref(on);
      held = on;
    };
    const closed = ended.then((exit) => {
      ref(false);
      if (!exit) throw new Error("the SSH connection was lost");
      return `virsh ended with ${exit.signal ?? `exit ${exit.code}`}`;
    });
    // sshd closes the channel when virsh has ended; if we did, it would count until then all the same
    const kill = () =>
      void connection.kill(remote).then(async () => {
        await Promise.race([ended, sleep(PATIENCE, undefined, { ref: false })]);
        channel.close();
      });
    return { stdin: channel, stdout: channel, stderr: channel.stderr, closed, kill, ref };
  });
}

function exec(
  connection: Connection,
  uri: string,
  argv: string[],
  options: ExecOptions,
): Promise<ExecResult> {
  return used(connection, async () => {
    const { input } = options;
    const file = input ? await (await connection.get()).shell.putText(input) : undefined;
    try {
      const variables = { LC_ALL: "C", LIBVIRT_DEFAULT_URI: uri, I: file?.path ?? "/dev/null" };
      return await finish(await start(connection, argv, COMMAND, variables), argv, options);
    } finally {
      file?.remove();
    }
  });
}

/** The rest of a command that has begun: its output and exit code, or its end at our word. */
function finish(
  { channel, ended }: Begun,
  [program]: string[],
  { timeout, signal }: ExecOptions,
): Promise<ExecResult> {
  return new Promise((resolve, reject) => {
    const result: ExecResult = { stdout: "", stderr: "", exitCode: -1 };
    const settle = (done: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      done();
    };
    const cutOff = (error: HyperError) =>
      settle(() => {
        reject(error);
        channel.end(); // the script there ends all of it
      });
    const late = `${program} took longer than ${timeout / 1000} s`;
    const timer = setTimeout(() => cutOff(new HyperError("timed_out", late)), timeout);
    const onAbort = () => cutOff(new HyperError("cancelled", `${program} was cancelled`));
    signal?.addEventListener("abort", onAbort, { once: true });
    for (const name of ["stdout", "stderr"] as const) {
      channel[name].setEncoding("utf8").on("data", (text: string) => {
        result[name] += text;
        if (result[name].length <= MAX_OUTPUT) return;
        cutOff(
          new HyperError("command_failed", `${program} printed more than ${MAX_OUTPUT} bytes`),
        );
      });
    }
    ended.then((exit) =>
      settle(() => {
        if (exit) return resolve({ ...result, exitCode: exit.code ?? -1 });
        const text = `the SSH connection was lost while ${program} ran; look at the present state before you call again`;
        reject(new HyperError("outcome_unknown", text));
      }),
    );
    channel.resume();
    if (signal?.aborted) return onAbort(); // while it started
    channel.write("\n");
  });
}
