import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createClient, HyperError, RemoteError } from "../../../runtime/client/client.ts";

interface Seen {
  method: string | undefined;
  url: string | undefined;
  headers: IncomingMessage["headers"];
  body: string;
}

/** A server that answers what a test tells it to, and keeps what it was asked. */
let answer: (response: ServerResponse, request: IncomingMessage) => void;
let seen: Seen;
const server = createServer(async (request, response) => {
  let body = "";
  for await (const chunk of request) body += chunk;
  seen = { method: request.method, url: request.url, headers: request.headers, body };
  answer(response, request);
});
let url: string;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const json = (status: number, body: unknown) => (response: ServerResponse) => {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
};
const success = (data: unknown) => json(200, { status: "success", message: "", data });
const caught = (call: Promise<unknown>) => call.then(() => undefined).catch((error) => error);
const create = { name: "lan", start: true };

test("a GET sends its input in the query, and resolves to the data", async () => {
  answer = success({ name: "it's & ü", active: true });
  const call = createClient(`${url}/`, { token: "secret", host: "kvm1" });
  const data = await call("GET /libvirt/network", { name: "it's & ü" });
  expect(data).toEqual({ name: "it's & ü", active: true });
  expect(seen.method).toBe("GET");
  expect(seen.headers.authorization).toBe("Bearer secret");
  const { pathname, searchParams } = new URL(`${seen.url}`, url);
  expect(pathname).toBe("/libvirt/network");
  expect(Object.fromEntries(searchParams)).toEqual({ host: "kvm1", name: "it's & ü" });
});

test("a POST sends it as JSON; a call may name another hypervisor", async () => {
  answer = success({});
  const call = createClient(`${url}/behind/a/proxy`, { host: "kvm1" });
  await call("POST /libvirt/network/create", create, { host: "kvm2" });
  expect(seen).toMatchObject({
    method: "POST",
    url: "/behind/a/proxy/libvirt/network/create?host=kvm2",
  });
  expect(seen.headers["content-type"]).toBe("application/json");
  expect(seen.headers.authorization).toBeUndefined();
  expect(JSON.parse(seen.body)).toEqual(create);
});

test("an answer without the envelope comes whole", async () => {
  const batch = { operation: "start", total: 1, successful: 0, failed: 1, results: [] };
  answer = json(200, batch);
  const call = createClient(url);
  expect(await call("POST /libvirt/batch/start", { domains: ["a"] })).toEqual(batch);
});

test("an error has the server's code, status and details", async () => {
  answer = json(409, { error: "no", code: "some_new_code", children: ["a"], timestamp: "now" });
  const error = await caught(createClient(url)("GET /libvirt/networks"));
  expect(error).toBeInstanceOf(RemoteError);
  expect(error).toBeInstanceOf(HyperError);
  expect(error).toMatchObject({
    message: "no",
    code: "some_new_code",
    status: 409,
    details: { children: ["a"] },
  });
});

test("what is no HyperSDK server is told by its status and type", async () => {
  answer = (response) => response.writeHead(502, { "Content-Type": "text/html" }).end("<p>Bad</p>");
  const call = createClient(url);
  const read = await caught(call("GET /health"));
  expect(read).toMatchObject({ code: "unreachable", status: 502 });
  expect(read.message).toMatch(
    /\/health: no answer of a HyperSDK server, but HTTP 502, text\/html$/,
  );
  // the proxy gave up, but the server behind it may be at work
  const change = await caught(call("POST /libvirt/network/create", create));
  expect(change).toMatchObject({ code: "outcome_unknown", status: 502 });
  answer = (response) => response.end("hello");
  expect(await caught(call("GET /health"))).toMatchObject({ code: "unreachable", status: 200 });
  answer = json(404, { message: "another API's words" });
  expect(await caught(call("GET /health"))).toMatchObject({ code: "unreachable", status: 404 });
});

test("a connection that breaks: a read is unreachable, of a change nobody knows", async () => {
  answer = (_, request) => request.socket.destroy();
  const call = createClient(url);
  expect(await caught(call("GET /health"))).toMatchObject({ code: "unreachable", status: 503 });
  const change = await caught(call("POST /libvirt/network/create", create));
  expect(change).toMatchObject({ code: "outcome_unknown" });
  expect(change.message).toMatch(
    /[^.]\. The server may carry it out; look at the present state before/,
  );
  answer = (response) => {
    response.writeHead(200, { "Content-Type": "application/json", "Content-Length": 100 });
    response.write('{"status":');
    setTimeout(() => response.destroy(), 20);
  };
  expect(await caught(call("GET /health"))).toMatchObject({ code: "unreachable" });
  expect(await caught(call("POST /libvirt/network/create", create))).toMatchObject({
    code: "outcome_unknown",
  });
});

test("a server that is not there has begun nothing", async () => {
  const free = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => free.once("listening", resolve));
  const gone = `http://127.0.0.1:${(free.address() as AddressInfo).port}`;
  await new Promise((resolve) => free.close(resolve));
  for (const base of [gone, "http://nowhere.invalid"]) {
    const error = await caught(createClient(base)("POST /libvirt/network/create", create));
    expect(error).toMatchObject({ code: "unreachable", message: expect.stringContaining(base) });
  }
});

test("a call that is given up", async () => {
  answer = () => {}; // never
  const call = createClient(url);
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 20);
  const { signal } = abort;
  expect(await caught(call("GET /health", {}, { signal }))).toMatchObject({ code: "cancelled" });
  const late = { signal: AbortSignal.timeout(20) };
  expect(await caught(call("GET /health", {}, late))).toMatchObject({ code: "timed_out" });
  const change = await caught(call("POST /libvirt/network/create", create, { signal }));
  expect(change).toMatchObject({ code: "cancelled" });
});

test("what is no URL of a server is refused at once", () => {
  for (const wrong of ["localhost:8080", "", "ftp://kvm", "http://"]) {
    expect(() => createClient(wrong)).toThrow(/is not a URL of http or https/);
  }
});

test("it needs nothing of the server", async () => {
  const built = await Bun.build({
    entrypoints: [new URL("../../../runtime/client/client.ts", import.meta.url).pathname],
    target: "browser",
  });
  const text = await built.outputs[0]?.text();
  expect(text).toContain("createClient");
  expect(text).not.toMatch(/zod|hono|pino|node:/);
});
