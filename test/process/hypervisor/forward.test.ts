/** A socket of this machine that leads elsewhere: bytes both ways, ends, refusals, and what is left. */
import { existsSync, statSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { afterEach, expect, test } from "vitest";
import { HyperError } from "../../../runtime/core/errors.ts";
import { type Forward, forwardSocket } from "../../../runtime/hypervisor/forward.ts";
import { until } from "../../fixtures/fake.ts";

let server: Server | undefined;
let forward: Forward | undefined;
const far: Socket[] = [];
afterEach(() => {
  forward?.close();
  server?.close();
  far.length = 0;
});

/** What says back what it hears. */
async function echo(): Promise<number> {
  server = createServer((socket) => {
    far.push(socket);
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  return (server.address() as { port: number }).port;
}

function caller(path: string) {
  const socket = connect(path);
  const heard = { text: "", isOver: false };
  socket.setEncoding("utf8").on("data", (text: string) => {
    heard.text += text;
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    heard.isOver = true;
  });
  return { socket, heard };
}

test("bytes go both ways, at once for several, and nobody else may enter", async () => {
  const port = await echo();
  forward = await forwardSocket(async () => connect(port, "127.0.0.1"));
  const { path } = forward;
  expect([statSync(dirname(path)).mode & 0o777, statSync(path).mode & 0o777]).toEqual([
    0o700, 0o600,
  ]);
  const [one, other] = [caller(path), caller(path)];
  const many = "x".repeat(300_000);
  one.socket.write(many);
  other.socket.write("other");
  await until(() => one.heard.text.length === many.length && other.heard.text === "other");
  for (const socket of far) socket.destroy();
  await until(() => one.heard.isOver && other.heard.isOver, "the far end's end is heard");
});

test("closing it ends all connections, and removes the socket", async () => {
  const port = await echo();
  forward = await forwardSocket(async () => connect(port, "127.0.0.1"));
  const one = caller(forward.path);
  one.socket.write("a");
  await until(() => one.heard.text === "a");
  let isClosed = false;
  far[0]?.on("close", () => {
    isClosed = true;
  });
  forward.close();
  await until(() => one.heard.isOver && isClosed);
  expect(existsSync(dirname(forward.path))).toBe(false);
});

test("a far end that refuses ends the connection, and tells why", async () => {
  const why = new HyperError("unreachable", "away");
  forward = await forwardSocket(() => Promise.reject(why));
  const one = caller(forward.path);
  await until(() => one.heard.isOver);
  expect(forward.refusal).toBe(why);
});

test("a caller who has gone before it was connected leaves nothing open", async () => {
  const port = await echo();
  const { promise, resolve } = Promise.withResolvers<void>();
  let opened: Socket | undefined;
  forward = await forwardSocket(async () => {
    await promise;
    const socket = connect(port, "127.0.0.1");
    await new Promise<void>((done) => socket.once("connect", done));
    opened = socket;
    return socket;
  });
  const one = caller(forward.path);
  await new Promise<void>((done) => one.socket.once("connect", done));
  one.socket.destroy();
  await until(() => one.heard.isOver);
  await new Promise((done) => setTimeout(done, 50));
  resolve();
  await until(() => opened?.destroyed === true);
});
