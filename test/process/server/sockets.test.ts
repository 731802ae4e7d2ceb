/** WebSockets: who may open one, with what, how it ends, and what the audit log has of it. */
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { revokeToken } from "../../../runtime/access/token-editor.ts";
import { bearing, type Guarded, guarded } from "../../fixtures/access.ts";
import { until } from "../../fixtures/fake.ts";
import { slow } from "../../fixtures/slowness.ts";
import { openSocket, refusal } from "../../fixtures/socket.ts";
import { startServer, type TestServer } from "../../server.ts";

const SERVE = join(import.meta.dirname, "../../fixtures/serve.ts");
let access: Guarded;
let server: TestServer;
let headers: Record<string, string>;

async function serve(...toml: string[]) {
  access = guarded('hosts.local.uri = "test:///default"', ...toml);
  const token = await access.token("ci", { role: "operate" });
  headers = bearing(token).headers;
  server = await startServer(access.env, [SERVE]);
}
beforeEach(() => serve());
afterEach(async () => {
  await server.stop();
  access.remove();
});

const ticket = async (input: object, using = headers): Promise<string> => {
  const init = { method: "POST", body: JSON.stringify(input) };
  const json = { "Content-Type": "application/json" };
  const answer = await server.get("/console/ticket", { ...init, headers: { ...using, ...json } });
  return answer.body.data.ticket;
};

test("bytes and texts pass both ways, and the log has the begin and the end", async () => {
  const one = await openSocket(server.url, "/console/serial?name=web", headers);
  one.send("hello");
  await one.says("hello");
  one.socket.send("a note");
  await until(() => one.notes.length === 1);
  one.socket.close();
  await one.closed;
  await until(() => access.audited().length === 2);
  const [opened, closed] = access.audited();
  const about = { who: { kind: "token", name: "ci" }, function: "/console/serial", host: "local" };
  expect(opened).toMatchObject({ ...about, result: "opened", arguments: { name: "web" } });
  expect(closed).toMatchObject({
    ...{ ...about, result: "closed", bytes_in: 11, bytes_out: 11, request_id: opened?.request_id },
    duration_ms: expect.any(Number),
  });
  await until(() => /the signal has ended/.test(server.log()));
  expect(server.log()).toMatch(/the echo has ended/);
});

describe("a ticket", () => {
  test("opens one console once", async () => {
    const path = `/console/serial?name=web&ticket=${await ticket({ name: "web" })}`;
    expect((await fetch(server.url + path)).status).toBe(200); // the page leaves it for its socket
    const one = await openSocket(server.url, path);
    one.send("x");
    await one.says("x");
    one.socket.close();
    const again = await refusal(server.url, path);
    expect([again.status, again.body]).toMatchObject([403, { missing: "ticket" }]);
    expect(JSON.stringify(access.audited())).not.toContain(path.slice(-32));
  });

  test("is not for another domain, nor another function, nor for typing when it is for watching", async () => {
    const other = await refusal(
      server.url,
      `/console/serial?name=db&ticket=${await ticket({ name: "web" })}`,
    );
    expect([other.status, other.body.error]).toMatchObject([
      403,
      expect.stringMatching(/another console/),
    ]);
    const view = await ticket({ name: "web", view: true });
    const types = await refusal(server.url, `/console/serial?name=web&ticket=${view}`);
    expect([types.status, types.body.error]).toMatchObject([
      403,
      expect.stringMatching(/another console/),
    ]);
    const things = await server.get(`/things/query?ticket=${await ticket({ name: "web" })}`);
    expect(things.status).toBe(401);
    const unknown = await refusal(server.url, "/console/serial?name=web&ticket=nonsense");
    expect(unknown.status).toBe(403);
  });

  test("is worth nothing without the token that it was got with", async () => {
    const path = `/console/serial?name=web&ticket=${await ticket({ name: "web" })}`;
    await revokeToken("ci", access.tokens);
    expect((await refusal(server.url, path)).status).toBe(401);
  });
});

describe("refused", () => {
  test("without a token, from another origin, and of an unknown protocol", async () => {
    expect((await refusal(server.url, "/console/serial?name=web")).status).toBe(401);
    const origin = { ...headers, Origin: "http://evil.test" };
    const foreign = await refusal(server.url, "/console/serial?name=web", origin);
    expect([foreign.status, foreign.body.missing]).toEqual([403, "origin"]);
    const own = await refusal(server.url, "/console/serial?name=", {
      ...headers,
      Origin: server.url,
    });
    expect(own.status).toBe(400); // it is let in, and the name is empty
    const asked = { ...headers, "Sec-WebSocket-Protocol": "base64" };
    const protocol = await refusal(server.url, "/console/serial?name=web", asked);
    expect([protocol.status, protocol.body.error]).toMatchObject([
      400,
      expect.stringMatching(/must be binary/),
    ]);
  });

  test("a token that reads may watch, and not type", async () => {
    const reads = bearing(await access.token("eye", { role: "read" })).headers;
    const types = await refusal(server.url, "/console/serial?name=web", reads);
    expect([types.status, types.body.missing]).toEqual([403, "access:operate"]);
    const one = await openSocket(server.url, "/console/serial?name=web&view=1", reads);
    one.socket.close();
    const other = bearing(await access.token("web", { role: "operate", domains: ["web-*"] }));
    const foreign = await refusal(server.url, "/console/serial?name=db", other.headers);
    expect([foreign.status, foreign.body.missing]).toEqual([403, "domain:db"]);
  });

  test("what the function throws has its status, and no line in the audit log", async () => {
    const gone = await refusal(server.url, "/console/serial?name=gone", headers);
    expect([gone.status, gone.body.code]).toEqual([500, "not_active"]);
    expect((await refusal(server.url, "/things/query", headers)).status).not.toBe(101);
    expect(access.audited()).toEqual([]);
  });
});

test("the protocol that is asked for is chosen, and no other", async () => {
  const { port } = new URL(server.url);
  const socket = new WebSocket(`ws://127.0.0.1:${port}/console/serial?name=web`, {
    ...{ headers, protocols: ["hsk_secret", "binary"] },
  } as never);
  await new Promise((resolve) => socket.addEventListener("open", resolve));
  expect(socket.protocol).toBe("binary");
  socket.close();
});

test("a revoked token ends its consoles within a second, and no other's", async () => {
  const other = bearing(await access.token("other", { role: "operate" })).headers;
  const [one, two] = await Promise.all([
    openSocket(server.url, "/console/serial?name=web", headers),
    openSocket(server.url, "/console/serial?name=web", other),
  ]);
  const began = performance.now();
  await revokeToken("ci", access.tokens);
  expect(await one.closed).toMatchObject({ code: 1008, reason: expect.stringMatching(/revoked/) });
  expect(performance.now() - began).toBeLessThan(slow(1000));
  two.send("still here");
  await two.says("still here");
  two.socket.close();
});

test("the server's end is told", async () => {
  const one = await openSocket(server.url, "/console/serial?name=web", headers);
  const stopped = server.stop();
  expect(await one.closed).toMatchObject({
    code: 1001,
    reason: expect.stringMatching(/the server ends/),
  });
  await stopped;
  expect(access.audited().map(({ result }) => result)).toEqual(["opened", "closed"]);
});

test("the guest's end, at once", async () => {
  const one = await openSocket(server.url, "/console/serial?name=web&force=1", headers);
  expect(await one.closed).toEqual({ code: 1000, reason: "forced" });
});

describe("limits", () => {
  test("consoles at once, and idle ones", async () => {
    await server.stop();
    access.remove();
    await serve("console.open = 2", "console.idle = 1");
    const one = await openSocket(server.url, "/console/serial?name=web", headers);
    const two = await openSocket(server.url, "/console/serial?name=web", headers);
    const third = await refusal(server.url, "/console/serial?name=web", headers);
    expect([third.status, third.body.code]).toEqual([503, "busy"]);
    for (const { closed } of [one, two])
      expect(await closed).toMatchObject({
        code: 1000,
        reason: expect.stringMatching(/nothing has passed for 1 s/),
      });
  });

  test("200 at once", async () => {
    const all = await Promise.all(
      Array.from({ length: 200 }, () =>
        openSocket(server.url, "/console/serial?name=web", headers),
      ),
    );
    for (const [i, one] of all.entries()) one.send(`console ${i}.`);
    await Promise.all(all.map((one, i) => one.says(`console ${i}.`)));
    for (const { socket } of all) socket.close();
    await Promise.all(all.map(({ closed }) => closed));
    await until(() => access.audited().length === 400);
  });
});
