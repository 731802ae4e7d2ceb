/** One POST goes over the connection whose address was checked, and over no other. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkTaken, post } from "../../../runtime/notifications/post.ts";
import { selfSigned } from "../../fixtures/certificate.ts";

const folder = mkdtempSync(join(tmpdir(), "hypersdk-post-"));
const tls = selfSigned(folder, "receiver");
process.env.HYPERSDK_CONFIG = join(folder, "hypersdk.toml");
writeFileSync(
  process.env.HYPERSDK_CONFIG,
  `[notifications]
hosts = ["localhost", "127.0.0.1", "::1"]
private = ["127.0.0.0/8", "::1"]
ca = "${tls.cert}"
`,
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

test("an answer that never ends, or is cut off, is one: the message would come twice", async () => {
  const begun = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok";
  expect(await ask(begun)).toMatchObject({ status: 200, text: "ok" });
  server.once("connection", (socket) =>
    socket.once("data", () => setTimeout(() => socket.end(), 50)),
  );
  expect(await ask(begun)).toMatchObject({ status: 200, text: "ok" });
});

test("the certificate is checked, also that of an address", async () => {
  const pair = { cert: readFileSync(tls.cert, "utf8"), key: readFileSync(tls.key, "utf8") };
  const fetch = () => new Response("ok");
  const [v4, v6] = ["127.0.0.1", "::1"].map((hostname) =>
    Bun.serve({ hostname, port: 0, tls: pair, fetch }),
  );
  for (const host of ["localhost", "127.0.0.1"]) {
    const reply = await post(`https://${host}:${v4?.port}/`, "{}", {});
    expect(reply).toMatchObject({ status: 200, text: "ok" });
  }
  // it does not name this one
  const refused = expect.stringMatching(/ERR_TLS_CERT_ALTNAME_INVALID/);
  const wrong = post(`https://[::1]:${v6?.port}/`, "{}", {});
  await expect(wrong).rejects.toMatchObject({ code: "unreachable", message: refused });
  await Promise.all([v4?.stop(true), v6?.stop(true)]);
});

test("a host that is not in the list is not connected to", async () => {
  await expect(post("http://example.com/", "{}", {})).rejects.toMatchObject({
    code: "invalid_input",
  });
});
