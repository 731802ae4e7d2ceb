/** The transport to a remote hypervisor: sessions and commands are channels of one SSH connection. */
import { setTimeout as sleep } from "node:timers/promises";
import pLimit from "p-limit";
import type { Config } from "../../core/config.ts";
import { HyperError } from "../../core/errors.ts";
import { remoteUri } from "../../core/libvirt-uri.ts";
import { collectOutput } from "../collect-output.ts";
import {
  type Channel,
  type ExecOptions,
  type ExecResult,
  type Transport,
  virshEnvironment,
  virshOptions,
} from "../transport.ts";
import { Connection } from "./connection.ts";
import { COMMAND_SCRIPT, SESSION_SCRIPT, startRemotely } from "./remote-process.ts";
import { CLOSE_CHANNEL_MS, spawnLimit, spawnRemotely } from "./spawn.ts";
import type { RemoteTerminals } from "./terminal.ts";

/** More sessions than sshd's 10 channels (MaxSessions): idle ones are closed when a channel is needed. */
const LANES = { read: 3, stats: 5, change: 2, agent: 1 };
const MAX_LONG_COMMANDS = 2;
/** Commands with a longer timeout have a queue of their own. */
const SHORT_COMMAND_MS = 60_000;

export function sshTransport(alias: string, uri: string, settings: Config["ssh"]): Transport {
  const connection = new Connection(alias, uri, settings);
  const short = pLimit(1);
  const long = pLimit(MAX_LONG_COMMANDS);
  const streams = spawnLimit();
  let terminals: RemoteTerminals | undefined;
  const virshUri = remoteUri(uri);
  return {
    uri: virshUri,
    lanes: LANES,
    get connected() {
      return connection.connected;
    },
    set onFull(closeIdle: () => void) {
      connection.channels.onFull = closeIdle;
    },
    exec(argv, options) {
      const limit = options.timeout > SHORT_COMMAND_MS ? long : short;
      return inTurn(limit, options, () => exec(connection, virshUri, argv, options));
    },
    spawn: (argv, options) => spawnRemotely(connection, streams, virshUri, argv, options),
    openSession: () => openSession(connection, virshUri),
    async openStream(target, options) {
      const { openRemoteStream } = await import("./streams.ts");
      return openRemoteStream(connection, target, options);
    },
    async openTerminal(argv, options) {
      const { RemoteTerminals } = await import("./terminal.ts");
      terminals ??= new RemoteTerminals(alias, uri, settings);
      return terminals.open(argv, { LC_ALL: "C", LIBVIRT_DEFAULT_URI: virshUri }, options);
    },
    async putText(content) {
      return keepAlive(connection, async () => (await connection.shell()).putText(content));
    },
    async overwrite(path, content) {
      return keepAlive(connection, async () => (await connection.shell()).overwrite(path, content));
    },
    async close() {
      await Promise.all([connection.close(), terminals?.close()]);
    },
  };
}

/** Waits for its turn; the work of a client that has disconnected is not begun. */
function inTurn<T>(
  limit: ReturnType<typeof pLimit>,
  { signal }: ExecOptions,
  work: () => Promise<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new HyperError("cancelled", "the client disconnected"));
    if (signal?.aborted) return onAbort();
    signal?.addEventListener("abort", onAbort, { once: true });
    limit(async () => {
      if (!signal?.aborted) await work().then(resolve, reject);
    }).finally(() => signal?.removeEventListener("abort", onAbort));
  });
}

/** The connection keeps our process alive during the work. */
async function keepAlive<T>(connection: Connection, work: () => Promise<T>): Promise<T> {
  connection.ref(true);
  try {
    return await work();
  } finally {
    connection.ref(false);
  }
}

function openSession(connection: Connection, uri: string): Promise<Channel> {
  return keepAlive(connection, async () => {
    const argv = ["virsh", ...virshOptions(uri)];
    const variables = virshEnvironment(uri);
    const session = await startRemotely(connection, argv, SESSION_SCRIPT, variables);
    const { channel, group, ended } = session;
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
    const soon = () =>
      Promise.race([ended.then(() => true), sleep(CLOSE_CHANNEL_MS, false, { ref: false })]);
    const end = async () => {
      if (!held) {
        channel.end(); // an idle virsh ends with its input, which needs no shell there
        if (await soon()) return;
      }
      await connection.kill(group);
      // sshd closes the channel when virsh has ended; one that we close counts until then all the same
      await soon();
      channel.close();
    };
    let isEnding = false;
    const kill = () => {
      if (!isEnding) void end();
      isEnding = true;
    };
    return { stdin: channel, stdout: channel, stderr: channel.stderr, closed, kill, ref };
  });
}

function exec(
  connection: Connection,
  uri: string,
  argv: string[],
  options: ExecOptions,
): Promise<ExecResult> {
  return keepAlive(connection, async () => {
    const { input } = options;
    const [name = ""] = argv;
    const file = input ? await (await connection.shell()).putText(input) : undefined;
    try {
      const own = { LC_ALL: "C", LIBVIRT_DEFAULT_URI: uri, I: file?.path ?? "/dev/null" };
      const variables = { ...options.variables, ...own };
      const started = await startRemotely(connection, argv, COMMAND_SCRIPT, variables);
      const { channel } = started;
      const exitCode = started.ended.then((exit) => {
        if (exit) return exit.code ?? -1;
        const text = `the SSH connection was lost while ${name} ran; look at the present state before you call again`;
        throw new HyperError("outcome_unknown", text);
      });
      const begin = () => void channel.write("\n");
      const end = () => void channel.end(); // the script there ends the whole group
      const running = { name, stdout: channel, stderr: channel.stderr, exitCode, begin, end };
      return await collectOutput(running, options);
    } finally {
      file?.remove();
    }
  });
}
