/** Connections of this machine to a TCP port or a Unix socket, which their transport owns. */
import { connect, type Socket } from "node:net";
import { HyperError } from "../core/errors.ts";
import { cancelled } from "./collect-output.ts";
import type { StreamOptions, StreamTarget } from "./transport.ts";

export const nameTarget = (target: StreamTarget) =>
  "path" in target ? target.path : `${target.host}:${target.port}`;

/** Resolves once it is connected. Rejects at the timeout, and with `unreachable`. `open` holds it until it has closed. */
export function openLocalStream(
  target: StreamTarget,
  { timeout, signal }: StreamOptions,
  open: Set<Socket>,
): Promise<Socket> {
  const name = nameTarget(target);
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(cancelled(name));
    const socket = connect({ ...target, noDelay: true });
    open.add(socket);
    const settle = (done: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      socket.off("error", onError);
      done();
    };
    const fail = (error: HyperError) =>
      settle(() => {
        socket.destroy();
        open.delete(socket);
        reject(error);
      });
    const onAbort = () => fail(cancelled(name));
    const onError = (cause: NodeJS.ErrnoException) => {
      const code = cause.code === "EACCES" ? "permission_denied" : "unreachable";
      fail(new HyperError(code, `${name}: ${cause.code ?? cause.message}`, { cause }));
    };
    const late = `${name} did not answer within ${timeout / 1000} s`;
    const timer = setTimeout(() => fail(new HyperError("timed_out", late)), timeout);
    signal?.addEventListener("abort", onAbort, { once: true });
    socket.on("error", () => {}); // `close` reports it
    socket.once("error", onError);
    socket.once("close", () => open.delete(socket));
    socket.once("connect", () => settle(() => resolve(socket)));
  });
}
