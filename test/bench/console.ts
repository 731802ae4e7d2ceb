/**
 * A console's WebSocket beside a bare TCP proxy in the same process: bytes a second, the round trip of a key, memory.
 * `npm run bench:console`
 */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as z from "zod";
import { relay } from "../../runtime/console/display.ts";
import { log } from "../../runtime/core/log.ts";
import { defineFunction } from "../../runtime/function/define.ts";
import { openAudit } from "../../runtime/http/audit.ts";
import { openLocalStream } from "../../runtime/hypervisor/streams.ts";
import { createRouter } from "../../runtime/server/router.ts";
import { sockets } from "../../runtime/server/sockets.ts";

log.level = "error";
process.env.XDG_STATE_HOME = mkdtempSync(join(tmpdir(), "bench-console-"));
openAudit();
const BYTES = 256 * 2 ** 20;
const KEYS = 2000;
const OPEN = 200;

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

/** The bare proxy: what a program of twenty lines would do. */
const proxy = await listen((socket) => {
  const there = connect({ port: guest, host: "127.0.0.1", noDelay: true });
  socket.setNoDelay(true).pipe(there).pipe(socket);
  for (const one of [socket, there]) one.on("error", () => {});
});

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
    const target = { host: "127.0.0.1", port: guest };
    return relay(await openLocalStream(target, { timeout: 5000, signal }, new Set()));
  },
});
const router = createRouter([{ path: "/guest", function: ours }]);
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  websocket: sockets,
  fetch: (request, server) => router.fetch(request, { arrival: { server, path: "" } as never }),
});

interface Line {
  send(data: Buffer): void;
  onData: (bytes: number) => void;
  close(): void;
}

async function overProxy(): Promise<Line> {
  const socket = connect({ port: proxy, host: "127.0.0.1", noDelay: true });
  await once(socket, "connect");
  const line: Line = {
    send: (data) => socket.write(data),
    onData() {},
    close: () => socket.destroy(),
  };
  socket.on("data", (data) => line.onData(data.length));
  return line;
}

async function overWebSocket(): Promise<Line> {
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}/guest`);
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

async function throughput(open: () => Promise<Line>): Promise<number> {
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

async function roundTrip(open: () => Promise<Line>): Promise<number> {
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

const best = async (measure: () => Promise<number>, pick: (...all: number[]) => number) => {
  const all: number[] = [];
  for (let i = 0; i < 5; i++) all.push(await measure());
  return pick(...all);
};

const bare = await best(() => throughput(overProxy), Math.max);
const websocket = await best(() => throughput(overWebSocket), Math.max);
const bareKey = await best(() => roundTrip(overProxy), Math.min);
const key = await best(() => roundTrip(overWebSocket), Math.min);
Bun.gc(true);
const before = process.memoryUsage.rss();
const lines = await Promise.all(Array.from({ length: OPEN }, overWebSocket));
Bun.gc(true);
const each = (process.memoryUsage.rss() - before) / OPEN / 2 ** 20;
for (const line of lines) line.close();

console.log(
  `throughput, best of 5: ${websocket.toFixed(0)} MiB/s; bare proxy ${bare.toFixed(0)} MiB/s (${(websocket / bare).toFixed(2)})`,
);
console.log(
  `round trip of a key, median, best of 5: ${key.toFixed(3)} ms; bare proxy ${bareKey.toFixed(3)} ms`,
);
console.log(`memory for each of ${OPEN} open consoles, both ends: ${each.toFixed(2)} MiB`);
rmSync(process.env.XDG_STATE_HOME, { recursive: true });
process.exit(0);
