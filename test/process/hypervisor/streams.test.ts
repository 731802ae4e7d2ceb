/** Connections and terminals of the local transport: what they reach, how they end, and who ends them. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { localTransport } from "../../../runtime/hypervisor/local.ts";
import { until } from "../../fixtures/fake.ts";

const folder = mkdtempSync(join(tmpdir(), "streams-"));
const path = join(folder, "echo.sock");
const transport = localTransport("test:///default");
const servers: Server[] = [];
let port = 0;

const echo = async (...where: [number, string] | [string]) => {
  const server = createServer((socket) => void socket.pipe(socket)).listen(...(where as [string]));
  servers.push(server);
  await once(server, "listening");
  return server.address() as { port: number };
};
beforeAll(async () => {
  port = (await echo(0, "127.0.0.1")).port;
  await echo(path);
});
afterAll(() => {
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true });
});

test.each([
  ["a TCP port", () => ({ host: "127.0.0.1", port })],
  ["a Unix socket", () => ({ path })],
])("%s", async (_what, target) => {
  const stream = await transport.openStream(target(), { timeout: 5000 });
  stream.write("hello");
  const [data] = await once(stream, "data");
  expect(`${data}`).toBe("hello");
  stream.destroy();
  await once(stream, "close");
});

test("what does not listen is unreachable, and named", async () => {
  const missing = { path: join(folder, "none.sock") };
  await expect(transport.openStream(missing, { timeout: 5000 })).rejects.toMatchObject({
    code: "unreachable",
    message: `${missing.path}: ENOENT`,
  });
  const aborted = { timeout: 5000, signal: AbortSignal.abort() };
  await expect(transport.openStream({ path }, aborted)).rejects.toMatchObject({
    code: "cancelled",
  });
});

const terminal = async (script: string) => {
  let text = "";
  const opened = await transport.openTerminal(["sh", "-c", script], {
    ...{ columns: 100, rows: 30 },
    onData: (bytes) => {
      text += Buffer.from(bytes).toString();
    },
  });
  return Object.assign(opened, { text: () => text });
};

test("a terminal has a size, which changes, and takes what is typed", async () => {
  const one = await terminal('stty size; read -r line; stty size; echo "got $line"; exit 3');
  await until(() => one.text().includes("30 100"));
  one.resize(50, 20);
  one.write(Buffer.from("typed\n"));
  expect(await one.ended).toBe(3);
  expect(one.text()).toMatch(/20 50\r\ngot typed\r\n$/);
  expect(one.unwritten).toBe(0);
});

test("its output stops and goes on, and it ends when it is killed", async () => {
  const one = await terminal("exec yes");
  await until(() => one.text().length > 100_000);
  one.pause();
  let before = -1;
  await until(() => {
    const isSame = before === one.text().length; // what was on its way has come
    before = one.text().length;
    return isSame;
  });
  one.resume();
  await until(() => one.text().length > before);
  one.kill();
  expect(await one.ended).not.toBe(0);
});

test("a program that is not there", async () => {
  await expect(
    transport.openTerminal(["no-such-program"], { columns: 80, rows: 24, onData() {} }),
  ).rejects.toMatchObject({ code: "unsupported" });
});

test("the transport's end is the end of its streams and terminals", async () => {
  const stream = await transport.openStream({ path }, { timeout: 5000 });
  const one = await terminal("exec sleep 300");
  const closed = once(stream, "close");
  await transport.close();
  await closed;
  expect(await one.ended).not.toBe(0);
});
