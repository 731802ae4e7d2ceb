/** One POST goes over the connection whose address was checked, and over no other. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkTaken, post } from "../../../runtime/notifications/post.ts";

const folder = mkdtempSync(join(tmpdir(), "hypersdk-post-"));
process.env.HYPERSDK_CONFIG = join(folder, "hypersdk.toml");
writeFileSync(
  process.env.HYPERSDK_CONFIG,
  '[notifications]\nhosts = ["localhost"]\nprivate = ["127.0.0.0/8"]\n',
);

let server: Server;
let port: number;
let answer = "";
let connections = 0;
let heard = "";
beforeAll(async () => {
  server = createServer((socket) => {
    connections++;
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      heard += `${bytes}`;
      if (heard.endsWith("{}")) socket.write(answer);
    });
  });
  port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  });
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

const ask = (text: string) => {
  [connections, heard, answer] = [0, "", text];
  return post(`http://localhost:${port}/hook?a=b`, "{}", { "X-Key": "1" });
};

test("one connection, with the host's name and our headers", async () => {
  const reply = await ask("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  expect(reply).toMatchObject({ status: 200, text: "ok" });
  expect(connections).toBe(1);
  expect(heard).toMatch(/^POST \/hook\?a=b HTTP\/1\.1\r\n/);
  expect(heard).toMatch(new RegExp(`^host: localhost:${port}\r$`, "im"));
  expect(heard).toMatch(/^x-key: 1\r$/im);
});

test("a redirect is not followed", async () => {
  const location = `http://localhost:${port}/other`;
  const reply = await ask(`HTTP/1.1 307 X\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`);
  expect(reply.status).toBe(307);
  expect(connections).toBe(1);
  expect(() => checkTaken(reply)).toThrow(/a redirect, which is not followed/);
});

test("of a long answer only the begin is waited for", async () => {
  const reply = await ask(`HTTP/1.1 500 X\r\nContent-Length: 100000\r\n\r\n${"x".repeat(5000)}`);
  expect(reply).toMatchObject({ status: 500, text: "x".repeat(200) });
});

test("a host that is not in the list is not connected to", async () => {
  await expect(post("http://example.com/", "{}", {})).rejects.toMatchObject({
    code: "invalid_input",
  });
});
