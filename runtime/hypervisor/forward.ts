/** A Unix socket of this machine whose connections lead to a hypervisor, over the transport that it has. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";

export interface Forward {
  /** In a folder that this user alone may enter. */
  path: string;
  /** Why the last connection was refused. */
  readonly refusal: Error | undefined;
  /** Ends its connections, and removes the socket. */
  close(): void;
}

/** Listens until it is closed. `open` connects to the other end, once for each connection. */
export async function forwardSocket(open: () => Promise<Duplex>): Promise<Forward> {
  const folder = mkdtempSync(join(tmpdir(), "hypersdk-"));
  const path = join(folder, "s"); // a path of a socket has 107 bytes at most
  const streams = new Set<Duplex>();
  let refusal: Error | undefined;
  let isClosed = false;
  const connect = async (near: Socket) => {
    streams.add(near);
    near.on("error", () => {}); // `close` follows
    near.once("close", () => streams.delete(near));
    near.pause();
    try {
      const far = await open();
      streams.add(far);
      far.once("close", () => {
        streams.delete(far);
        near.destroy();
      });
      near.once("close", () => far.destroy());
      far.on("error", () => near.destroy());
      if (isClosed || near.destroyed) return void far.destroy();
      near.pipe(far);
      far.pipe(near);
    } catch (error) {
      refusal = error as Error;
      near.destroy();
    }
  };
  const server = createServer((near) => void connect(near));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  return {
    path,
    get refusal() {
      return refusal;
    },
    close() {
      isClosed = true;
      server.close();
      for (const stream of streams) stream.destroy();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
