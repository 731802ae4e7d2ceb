/** Connections of the remote side to a TCP port or a Unix socket there: channels that sshd's MaxSessions does not count. */
import type { Duplex } from "node:stream";
import type { Client, ClientChannel } from "ssh2";
import { HyperError } from "../../core/errors.ts";
import { cancelled } from "../collect-output.ts";
import { nameTarget } from "../streams.ts";
import type { StreamOptions, StreamTarget } from "../transport.ts";
import type { Connection } from "./connection.ts";

export async function openRemoteStream(
  connection: Connection,
  target: StreamTarget,
  { timeout, signal }: StreamOptions,
): Promise<Duplex> {
  const name = nameTarget(target);
  connection.ref(true); // keeps our process alive
  const leave = () => connection.ref(false);
  try {
    const { client } = await connection.get();
    const channel = await new Promise<ClientChannel>((resolve, reject) => {
      const late = `${name} on hypervisor ${connection.alias} did not answer within ${timeout / 1000} s`;
      let isOver = false;
      const settle = (done: () => void) => {
        isOver = true;
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        done();
      };
      const fail = (error: Error) => settle(() => reject(error));
      const onAbort = () => fail(cancelled(name));
      const timer = setTimeout(() => fail(new HyperError("timed_out", late)), timeout);
      if (signal?.aborted) return onAbort();
      signal?.addEventListener("abort", onAbort, { once: true });
      forward(client, target, (error, made) => {
        if (isOver) return made?.destroy();
        if (error) fail(error);
        else settle(() => resolve(made));
      });
    });
    channel.on("error", () => {}); // `close` reports it
    channel.once("close", leave);
    const destroy = channel.destroy.bind(channel);
    channel.destroy = () => {
      destroy();
      return channel.resume(); // it closes once nothing of it is left
    };
    return channel;
  } catch (error) {
    leave();
    throw error instanceof HyperError ? error : refused(connection, name, error as Error);
  }
}

type Opened = (error: Error | undefined, channel: ClientChannel) => void;

function forward(client: Client, target: StreamTarget, opened: Opened) {
  if ("path" in target) client.openssh_forwardOutStreamLocal(target.path, opened);
  else client.forwardOut("127.0.0.1", 0, target.host, target.port, opened);
}

function refused({ alias }: Connection, name: string, cause: Error): HyperError {
  const forbidden = /prohibited|unknown channel type/i.test(cause.message);
  const why = forbidden
    ? "sshd there forwards nothing; AllowTcpForwarding and AllowStreamLocalForwarding must be on"
    : cause.message.replace(/^\(SSH\) /, "");
  const text = `hypervisor ${alias}: ${name}: ${why}`;
  return new HyperError(forbidden ? "permission_denied" : "unreachable", text, { cause });
}
