/** Lines to an echoing guest, to measure: over a bare TCP proxy, and over our WebSocket in the same process. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import * as z from "zod";
import { relay } from "../../runtime/console/display.ts";
import { defineFunction } from "../../runtime/function/define.ts";
import type { StreamTarget } from "../../runtime/hypervisor/transport.ts";
import { createRouter } from "../../runtime/server/router.ts";
import { sockets } from "../../runtime/server/sockets.ts";

const BYTES = 256 * 2 ** 20;
const KEYS = 2000;

const listen = async (handler: (socket: Socket) => void) => {
  const server = createServer(handler).listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
};

/** A guest: it echoes, and on an F it floods. */
const guest = await listen((socket) => {
  socket.setNoDelay(true).on("error", () => {});
  const piece = Buffer.alloc(64 * 1024, "x");
  let left = BYTES;
  const flood = () => {
    while (left > 0) {
      left -= piece.length;
      if (!socket.write(piece)) return void socket.once("drain", flood);
    }
  };
  socket.on("data", (data) => (data[0] === 70 ? flood() : socket.write(data)));
});

const guestAt = { host: "127.0.0.1", port: guest };

/** The bare proxy: what a program of twenty lines would do. */
const proxy = await listen((socket) => {
  const there = connect({ port: guest, host: "127.0.0.1", noDelay: true });
  socket.setNoDelay(true).pipe(there).pipe(socket);
  for (const one of [socket, there]) one.on("error", () => {});
});

type Open = (target: StreamTarget, signal: AbortSignal) => Promise<Duplex>;

/** The bare proxy where the guest is reached by `open`. */
export async function proxyBy(open: Open): Promise<() => Promise<Line>> {
  const port = await listen(async (socket) => {
    const there = await open(guestAt, new AbortController().signal);
    socket.setNoDelay(true).pipe(there).pipe(socket);
    for (const one of [socket, there]) one.on("error", () => {});
  });
  return () => overTcp(port);
}

/** Our server, whose console goes to the guest by `open`. Returns what opens a line. */
export function consoleOf(open: Open): () => Promise<Line> {
  const ours = defineFunction({
    method: "GET",
    access: "read",
    summary: "Connect to the guest",
    scope: "server",
    input: z.strictObject({}),
    output: z.string(),
    message: null,
    media: "text/plain",
    run: async () => "",
    async upgrade(_input, { signal }) {
      return relay(await open(guestAt, signal));
    },
  });
  const router = createRouter([{ path: "/guest", function: ours }]);
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    websocket: sockets,
    fetch: (request, server) => router.fetch(request, { arrival: { server, path: "" } as never }),
  });
  return () => overWebSocket(`ws://127.0.0.1:${server.port}/guest`);
}

export interface Line {
  send(data: Buffer): void;
  onData: (bytes: number) => void;
  close(): void;
}

export const overProxy = () => overTcp(proxy);

async function overTcp(port: number): Promise<Line> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  const line: Line = {
    send: (data) => socket.write(data),
    onData() {},
    close: () => socket.destroy(),
  };
  socket.on("data", (data) => line.onData(data.length));
  return line;
}

async function overWebSocket(url: string): Promise<Line> {
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", reject);
  });
  const line: Line = {
    send: (data) => socket.send(data),
    onData() {},
    close: () => socket.close(),
  };
  socket.addEventListener("message", ({ data }) => line.onData(data.byteLength));
  return line;
}

export async function throughput(open: () => Promise<Line>): Promise<number> {
  const line = await open();
  const began = performance.now();
  await new Promise<void>((resolve) => {
    let bytes = 0;
    line.onData = (more) => {
      bytes += more;
      if (bytes >= BYTES) resolve();
    };
    line.send(Buffer.from("F"));
  });
  line.close();
  return BYTES / 2 ** 20 / ((performance.now() - began) / 1000);
}

export async function roundTrip(open: () => Promise<Line>): Promise<number> {
  const line = await open();
  const times: number[] = [];
  for (let i = 0; i < KEYS; i++) {
    const began = performance.now();
    await new Promise<void>((resolve) => {
      line.onData = () => resolve();
      line.send(Buffer.from("k"));
    });
    times.push(performance.now() - began);
  }
  line.close();
  return times.sort((a, b) => a - b)[KEYS / 2] ?? 0;
}

export const best = async (measure: () => Promise<number>, pick: (...all: number[]) => number) => {
  const all: number[] = [];
  for (let i = 0; i < 5; i++) all.push(await measure());
  return pick(...all);
};
