/** A port of this machine behind which a domain's VNC display is, until Ctrl-C. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import type { SocketEnd } from "../../core/socket.ts";

interface Options {
  name: string;
  port: number;
}

/** Each client that connects gets a console of its own. */
export async function forward(connect: () => Promise<SocketEnd>, { name, port }: Options) {
  (await connect()).close(); // what is wrong is said now, and not to the client
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket)).on("error", () => {});
    void join(socket, connect);
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening"); // rejects where the port is taken
  const { port: at } = server.address() as AddressInfo;
  console.log(
    `${name}: connect a VNC client to 127.0.0.1:${at} (vncviewer 127.0.0.1::${at}); Ctrl-C ends`,
  );
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
  for (const socket of sockets) socket.destroy();
  server.close();
  const { closeHypervisors } = await import("../../hypervisor/registry.ts");
  await closeHypervisors();
}

async function join(socket: Socket, connect: () => Promise<SocketEnd>) {
  socket.pause();
  try {
    const end = await connect();
    socket.on("data", (data: Buffer) => end.message(data));
    socket.on("drain", () => end.drain());
    socket.once("close", () => end.close());
    if (socket.destroyed) return end.close();
    end.open({ send: (data) => socket.write(data), close: () => socket.destroy() });
    socket.resume();
  } catch (error) {
    console.error(`hypersdk: ${(error as Error).message}`);
    socket.destroy();
  }
}
