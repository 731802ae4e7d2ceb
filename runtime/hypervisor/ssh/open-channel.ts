/** Requests to an sshd on a connection, as promises. ssh2 answers those that are under way when it is lost. */
import type { ClientChannel, PseudoTtyOptions } from "ssh2";
import type { Login } from "./login.ts";

export function openChannel(
  { client, isClosed }: Login,
  command: string,
  pty?: PseudoTtyOptions,
): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    if (isClosed()) return reject(new Error("the connection was closed"));
    client.exec(command, pty ? { pty } : {}, (error, channel) =>
      error ? reject(error) : resolve(channel),
    );
  });
}

/**
 * Resolves once the sshd has handled all that was sent before. Rejects where nothing can be sent any more. The sshd is
 * asked to end a forwarding that was never begun, which it refuses in turn; ssh2 has no ping.
 */
export function roundTrip({ client, isClosed }: Login): Promise<void> {
  return new Promise((resolve, reject) => {
    if (isClosed()) return reject(new Error("the connection was closed"));
    client.unforwardIn("127.0.0.1", 0, () => resolve());
  });
}
