/** Programs on the remote side whose input and output are streams: each is a channel of its own. */
import { setTimeout as sleep } from "node:timers/promises";
import { HyperError } from "../../core/errors.ts";
import { Semaphore } from "../../core/semaphore.ts";
import { spawned } from "../spawned.ts";
import type { Spawned, SpawnOptions } from "../transport.ts";
import type { Connection } from "./connection.ts";
import { SPAWN_SCRIPT, startRemotely } from "./remote-process.ts";

/** Of the 9 channels of a connection: sessions and commands need the others. */
const MAX_SPAWNED = 3;
const WAIT_MS = 30_000;
/** Until the channel of a program that was killed is closed, whether it has ended or not. */
export const CLOSE_CHANNEL_MS = 2000;

export const spawnLimit = () =>
  new Semaphore({
    slots: MAX_SPAWNED,
    queue: 100,
    waitMs: WAIT_MS,
    slotName: "one of the streams of an SSH connection",
  });

export async function spawnRemotely(
  connection: Connection,
  limit: Semaphore,
  uri: string,
  argv: string[],
  options: SpawnOptions,
): Promise<Spawned> {
  const release = options.lasting ? () => {} : await limit.acquire(options.signal);
  connection.ref(true); // keeps our process alive
  const over = () => {
    connection.ref(false);
    release();
  };
  try {
    const [name = ""] = argv;
    const variables = { ...options.variables, LC_ALL: "C", LIBVIRT_DEFAULT_URI: uri };
    const { folder } = options;
    const started = await startRemotely(connection, argv, SPAWN_SCRIPT, variables, { folder });
    const { channel, group } = started;
    const exitCode = started.ended.then((exit) => {
      over();
      if (exit) return exit.code ?? -1;
      const text = `hypervisor ${connection.alias}: the SSH connection was lost while ${name} ran`;
      throw new HyperError("unreachable", text);
    });
    exitCode.catch(() => {}); // it may be killed before
    const end = () =>
      void connection.kill(group).then(async () => {
        await Promise.race([started.ended, sleep(CLOSE_CHANNEL_MS, undefined, { ref: false })]);
        channel.close();
      });
    channel.write("\n");
    const streams = { stdin: channel, stdout: channel, stderr: channel.stderr };
    return spawned({ name, ...streams, exitCode, end }, options);
  } catch (error) {
    over();
    throw error;
  }
}
