/** Streams and a server's life: its end, a token that is revoked, the audit log. */
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { revokeToken } from "../../../runtime/access/token-editor.ts";
import { bearing, type Guarded, guarded } from "../../fixtures/access.ts";
import { until } from "../../fixtures/fake.ts";
import { slow } from "../../fixtures/slowness.ts";
import { startServer, type TestServer } from "../../server.ts";

vi.setConfig({ testTimeout: slow(60_000) });

let access: Guarded;
let server: TestServer;
async function start() {
  access = guarded('hosts.local.uri = "test:///default"');
  server = await startServer(access.env, [join(import.meta.dirname, "../../fixtures/serve.ts")]);
}

async function serving() {
  await start();
  return bearing(await access.token("ci", { role: "admin" }));
}
afterEach(async () => {
  await server.stop();
  access.remove();
});

test("the server's end is the end of its streams, also of one that nobody reads", async () => {
  const may = await serving();
  const quiet = await fetch(`${server.url}/ticks?until=1&end=never`, may);
  const unread = await fetch(`${server.url}/ticks?pad=10000`, may);
  const reader = quiet.body?.getReader();
  await reader?.read();
  const began = performance.now();
  process.kill(server.pid, "SIGTERM");
  for (let done = false; !done; ) done = (await reader?.read())?.done ?? true;
  await server.stop();
  expect(performance.now() - began).toBeLessThan(slow(10_000)); // calls would have 30 s
  expect(server.log()).not.toMatch(/cut off|calls have/);
  expect(server.log().match(/the count has ended/g)).toHaveLength(2);
  await unread.body?.cancel().catch(() => {});
});

test("a stream ends when its token is revoked", async () => {
  const may = await serving();
  const response = await fetch(`${server.url}/ticks?until=1&end=never`, may);
  await revokeToken("ci", access.tokens);
  const began = performance.now();
  const text = await response.text();
  expect(performance.now() - began).toBeLessThan(slow(2000));
  const { code, request_id } = JSON.parse(/^event: error\ndata: (.*)$/m.exec(text)?.[1] ?? "{}");
  expect([code, request_id]).toEqual(["unauthorized", response.headers.get("X-Request-Id")]);
  await until(() => server.log().includes("the count has ended"));
});

test("one caller has as many streams as the configuration says, and others have theirs", async () => {
  access = guarded('hosts.local.uri = "test:///default"', "limits.streams = 2");
  server = await startServer(access.env, [join(import.meta.dirname, "../../fixtures/serve.ts")]);
  const [one, other] = [
    await access.token("one", { role: "read" }),
    await access.token("other", { role: "read" }),
  ];
  const open = (token: string) => fetch(`${server.url}/ticks?until=1&end=never`, bearing(token));
  const streams = [await open(one), await open(one)];
  const refused = await open(one);
  expect([refused.status, refused.headers.get("Retry-After")]).toEqual([429, "5"]);
  expect(await refused.json()).toMatchObject({
    code: "rate_limited",
    error: "you have 2 streams open already; close one first, or raise [limits] streams",
  });
  expect((await open(other)).status).toBe(200);
  await streams[0]?.body?.cancel();
  await vi.waitFor(async () => expect((await open(one)).status).toBe(200), slow(10_000));
});

test("what changes is audited by its access and not by its method", async () => {
  const may = await serving();
  const send = (method: string, path: string, body: object) =>
    fetch(`${server.url}${path}`, {
      method,
      headers: { ...may.headers, "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  expect((await send("POST", "/things/query", {})).status).toBe(200);
  expect((await send("PUT", "/thing/submit", { name: "hat" })).status).toBe(202);
  expect((await send("POST", "/thing/submit", { name: "hat" })).status).toBe(405);
  expect((await send("POST", "/things/hat", {})).status).toBe(200);
  expect(access.audited()).toMatchObject([
    { function: "/thing/submit", status: 202, arguments: { name: "hat" } },
  ]);
  expect(access.audited()).toHaveLength(1);
});

/** An open connection, on which one request after the other is sent as it is. */
async function connection() {
  const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
  let received = "";
  socket.setEncoding("utf8").on("data", (text: string) => {
    received += text;
  });
  socket.on("error", () => {}); // the server may close it
  await once(socket, "connect");
  return {
    send: (text: string) => socket.write(text),
    received: () => received,
    end: () => socket.destroy(),
  };
}

test("a request that is complete only while the server ends is still its user's", async () => {
  await start(); // without a token, whoever has the connection is its user
  const [slowly, other] = [await connection(), await connection()];
  const head = "HTTP/1.1\r\nHost: localhost\r\n";
  slowly.send(`PUT /parcel?name=hat ${head}Content-Length: 4\r\n\r\nha`);
  other.send(`GET /parcel?name=none ${head}\r\n`);
  await until(() => other.received().startsWith("HTTP/1.1 404"));
  other.send(`GET /parcel?name=none ${head}`);
  await new Promise((resolve) => setTimeout(resolve, slow(100)));
  process.kill(server.pid, "SIGTERM");
  await until(() => server.log().includes("calls have"));
  other.send("\r\n");
  await until(() => other.received().split("HTTP/1.1 ").length > 2);
  expect(other.received().match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 404", "HTTP/1.1 404"]);
  slowly.send("ts");
  await until(() => slowly.received().startsWith("HTTP/1.1 201"));
  other.end();
  slowly.end();
});
