/**
 * Programs on the remote side on a terminal there. Each is a session of sshd, which has ten for a connection: they have
 * connections of their own, so that they take none from commands.
 */
import type { Config } from "../../core/config.ts";
import { HyperError } from "../../core/errors.ts";
import type { Terminal, TerminalOptions } from "../transport.ts";
import { Connection } from "./connection.ts";
import { startRemotely, TERMINAL_SCRIPT } from "./remote-process.ts";

const MAX_TERMINALS = 8;

export class RemoteTerminals {
  #places: { connection: Connection; open: number }[] = [];
  #connect: () => Connection;

  constructor(alias: string, uri: string, settings: Config["ssh"]) {
    this.#connect = () => new Connection(alias, uri, settings);
  }

  async open(
    argv: string[],
    variables: Record<string, string>,
    options: TerminalOptions,
  ): Promise<Terminal> {
    const place = this.#take();
    const { connection } = place;
    connection.ref(true); // keeps our process alive
    const leave = () => {
      place.open--;
      connection.ref(false);
    };
    try {
      const { columns: cols, rows, onData } = options;
      const pty = { cols, rows, term: "xterm-256color", width: 0, height: 0 };
      const started = await startRemotely(connection, argv, TERMINAL_SCRIPT, variables, { pty });
      const { channel, group } = started;
      channel.on("data", onData).resume();
      return {
        get unwritten() {
          return channel.writableLength;
        },
        write: (bytes) => void (channel.writable && channel.write(bytes)),
        resize: (cols, rows) => void (channel.writable && channel.setWindow(rows, cols, 0, 0)),
        pause: () => channel.pause(),
        resume: () => channel.resume(),
        kill: () => {
          channel.resume(); // it closes once nothing of it is left
          void connection.kill(group).then(() => channel.close());
        },
        ended: started.ended.then((exit) => {
          leave();
          if (exit) return exit.code ?? -1;
          const text = `hypervisor ${connection.alias}: the SSH connection was lost`;
          throw new HyperError("unreachable", text);
        }),
      };
    } catch (error) {
      leave();
      throw error;
    }
  }

  async close() {
    await Promise.all(this.#places.map(({ connection }) => connection.close()));
  }

  #take() {
    const free = this.#places.find(({ open }) => open < MAX_TERMINALS);
    const place = free ?? { connection: this.#connect(), open: 0 };
    if (!free) this.#places.push(place);
    place.open++;
    return place;
  }
}
