/** Functions that take bytes and give them: over HTTP from a server, with the typed client, and from a script. */
import { randomBytes } from "node:crypto";
import { afterAll, describe, expect, expectTypeOf, test, vi } from "vitest";
import { createClient } from "../../../runtime/client/client.ts";
import type { BytesOut, Data, Endpoint } from "../../../runtime/client/types.ts";
import { isBytesOut } from "../../../runtime/core/bytes.ts";
import { log } from "../../../runtime/core/log.ts";
import { prepareJob } from "../../../runtime/function/prepare-job.ts";
import { until } from "../../fixtures/fake.ts";
import parcel from "../../fixtures/functions/parcel.ts";
import { ask, fetched, send } from "../../fixtures/served.ts";

const told = vi.spyOn(log, "info");
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  development: false,
  fetch(request) {
    const { pathname, search } = new URL(request.url);
    const { method, headers, body, signal } = request;
    return fetched(`${pathname}${search}`, { method, headers, body, signal });
  },
});
afterAll(() => server.stop(true));
const call = createClient(`${server.url}`) as unknown as (
  endpoint: string,
  input?: object,
  options?: object,
) => Promise<BytesOut>;

const BYTES = randomBytes(300_000);
const put = (query: string, init: RequestInit = {}) =>
  ask(`/parcel?${query}`, { method: "PUT", body: BYTES, ...init });
const all = async (stream: ReadableStream) => Buffer.from(await new Response(stream).arrayBuffer());
const get = async (headers: Record<string, string> = {}, name = "box") => {
  const response = await fetched(`/parcel?name=${name}`, { headers });
  return { response, bytes: Buffer.from(await response.arrayBuffer()) };
};

describe("a body", () => {
  test("of bytes: the input is the query, and the size is known from Content-Length", async () => {
    const known = await put("name=box&stamp=red", { headers: { "Content-Length": "300000" } });
    expect([known.status, known.body.data]).toEqual([
      201,
      { name: "box", size: 300_000, told: 300_000 },
    ]);
    const { body } = await put("name=box");
    expect(body).toMatchObject({ message: "Parcel box was taken", data: { told: null } });
    const none = await ask("/parcel?name=none", { method: "PUT" });
    expect(none.body.data).toEqual({ name: "none", size: 0, told: 0 });
  });

  test.each<[string, RequestInit, number, string]>([
    ["name=a&stamp=green", {}, 400, "stamp: "],
    ["name=a&breaks=true", {}, 400, "breaks: is no field of a PUT"],
    ["name=a&size=1", {}, 400, 'unknown key "size" (allowed: name, stamp, breaks)'],
    ["stamp=red", {}, 400, "name: required"],
    ["name=a", { headers: { "Content-Type": "application/json" } }, 415, "Content-Type must be"],
    ["name=a", { headers: { "Content-Type": "text/plain" } }, 415, "Content-Type must be"],
    ["name=a", { headers: { "Content-Encoding": "br" } }, 415, "Content-Encoding must be left"],
    ["name=a", { headers: { "Content-Range": "bytes 0-1/9" } }, 400, "Content-Range: "],
    ["name=a", { headers: { "Idempotency-Key": "1" } }, 400, "Idempotency-Key: is not for bytes"],
  ])("%s %j is refused", async (query, init, status, error) => {
    const answer = await put(query, init);
    expect([answer.status, answer.body.error]).toEqual([status, expect.stringContaining(error)]);
  });

  test("is no body of another function's", async () => {
    const headers = { "Content-Type": "application/octet-stream" };
    const { status } = await ask("/thing/submit", { method: "PUT", headers, body: BYTES });
    expect(status).toBe(415);
    expect((await send("PUT", "/parcel?name=a", {})).status).toBe(415);
  });

  test("is never a job's", async () => {
    const { status } = await put("name=box", { headers: { Prefer: "respond-async" } });
    expect(status).toBe(201);
    expectTypeOf(prepareJob).toBeFunction();
    const { checkJob } = await import("../../../runtime/cli/submit.ts");
    expect(() => checkJob("parcel", parcel.spec)).toThrow("--async: parcel moves bytes");
  });
});

describe("bytes", () => {
  test("as they are, with their name and version", async () => {
    await put("name=box");
    const { response, bytes } = await get();
    expect(bytes.equals(BYTES)).toBe(true);
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "application/octet-stream",
      "content-disposition": "attachment; filename*=UTF-8''box%27s%20box",
      "accept-ranges": "bytes",
      "x-content-length": "300000",
      "cache-control": "no-store",
      etag: '"v300000"',
    });
    const head = await fetched("/parcel?name=box", { method: "HEAD" });
    expect([head.status, head.headers.get("Content-Length"), await head.text()]).toEqual([
      200,
      "300000",
      "",
    ]);
  });

  test.each([
    ["bytes=0-0", 0, 0],
    ["bytes=100-99999", 100, 99_999],
    ["bytes=299990-", 299_990, 299_999],
    ["Bytes = 299990-400000 ", 299_990, 299_999],
    ["bytes=-10", 299_990, 299_999],
    ["bytes=-400000", 0, 299_999],
  ])("Range %s", async (Range, first, last) => {
    const { response, bytes } = await get({ Range });
    expect([response.status, response.headers.get("Content-Range")]).toEqual([
      206,
      `bytes ${first}-${last}/300000`,
    ]);
    expect(bytes.equals(BYTES.subarray(first, last + 1))).toBe(true);
  });

  test.each([
    ["bytes=300000-", 416],
    ["bytes=-0", 416],
    ["bytes=5-2", 400],
    ["bytes=-", 400],
    ["bytes=1-2,3-4", 400],
    ["bytes=a-b", 400],
    ["bytes=99999999999999999999-", 400],
  ])("Range %s is refused", async (Range, status) => {
    const { response, bytes } = await get({ Range });
    expect([response.status, JSON.parse(`${bytes}`).error]).toEqual([
      status,
      expect.stringMatching(/^Range: /),
    ]);
    expect(response.headers.get("Content-Range")).toBe(status === 416 ? "bytes */300000" : null);
  });

  test("of another version come whole; another unit is ignored", async () => {
    const Range = "bytes=0-9";
    expect((await get({ Range, "If-Range": '"v300000"' })).response.status).toBe(206);
    expect((await get({ Range, "If-Range": '"v1"' })).response.status).toBe(200);
    expect((await get({ Range: "lines=0-9" })).response.status).toBe(200);
  });

  test.each<[Record<string, string>, number]>([
    [{ "If-None-Match": '"v300000"' }, 304],
    [{ "If-None-Match": '"a", W/"v300000"', Range: "bytes=0-9" }, 304],
    [{ "If-None-Match": "*" }, 304],
    [{ "If-None-Match": '"v1"' }, 200],
    [{ "If-None-Match": '"v1"', Range: "bytes=0-9" }, 206],
    [{ "If-Match": '"v300000"' }, 200],
    [{ "If-Match": '"v1", "v300000"', Range: "bytes=0-9" }, 206],
    [{ "If-Match": "*" }, 200],
    [{ "If-Match": '"v1"' }, 412],
    [{ "If-Match": 'W/"v300000"' }, 412],
    [{ "If-Match": '"v1"', "If-None-Match": '"v300000"' }, 412],
  ])("%j: %i, and HEAD answers the same of the whole", async (headers, status) => {
    const { response, bytes } = await get(headers);
    expect(response.status).toBe(status);
    const head = await fetched("/parcel?name=box", { method: "HEAD", headers });
    expect(head.status).toBe(status === 206 ? 200 : status);
    if (status === 412)
      expect(JSON.parse(`${bytes}`)).toMatchObject({
        code: "precondition_failed",
        error: 'If-Match: the bytes are others by now; their ETag is "v300000"',
      });
    else expect(response.headers.get("ETag")).toBe('"v300000"');
    if (status === 304) expect(bytes).toHaveLength(0);
  });

  test("HEAD has no part", async () => {
    const headers = { Range: "bytes=0-9" };
    const head = await fetched("/parcel?name=box", { method: "HEAD", headers });
    expect([head.status, head.headers.get("Content-Length")]).toEqual([200, "300000"]);
    expect(head.headers.get("Content-Range")).toBe(null);
  });

  test("an empty parcel has no part", async () => {
    await ask("/parcel?name=none", { method: "PUT" });
    expect((await get({}, "none")).bytes).toHaveLength(0);
    expect((await get({ Range: "bytes=0-" }, "none")).response.status).toBe(416);
  });

  test("errors before the first byte have their status; later the connection breaks", async () => {
    expect((await get({}, "nowhere")).response.status).toBe(404);
    const { body } = await ask("/parcel?name=box&stamp=red");
    expect(body.error).toBe("stamp: is no field of a GET");
    const broken = await fetch(`${server.url}parcel?name=box&breaks=true`);
    expect(broken.status).toBe(200);
    await expect(broken.arrayBuffer()).rejects.toThrow();
  });

  test("a client who goes away ends the source", async () => {
    const response = await fetch(`${server.url}parcel?name=box`);
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    await put("name=large", { body: Buffer.concat(Array(40).fill(BYTES)) });
    const large = (await fetch(`${server.url}parcel?name=large`)).body?.getReader();
    await large?.read();
    await large?.cancel();
    await until(() => told.mock.calls.some(([text]) => text === "the parcel is not wanted"));
  });
});

describe("the typed client and scripts", () => {
  test.each<[string, object]>([
    ["a Blob", new Blob([BYTES])],
    ["a stream", { stream: () => new Blob([BYTES]).stream() }],
  ])("take %s, and give the same", async (_what, body) => {
    for (const one of [
      (input: object, options = {}) =>
        call(`${"body" in options ? "PUT" : "GET"} /parcel`, input, options),
      (input: object, options = {}) => parcel(input as { name: string }, options),
    ]) {
      expect(await one({ name: "sent", stamp: "blue" }, { body })).toMatchObject({ size: 300_000 });
      const back = await one({ name: "sent" });
      if (!isBytesOut(back)) throw new Error("no bytes");
      expect([back.size, back.name, back.version]).toEqual([300_000, "sent's box", "v300000"]);
      expect((await all(await back.stream())).equals(BYTES)).toBe(true);
      const part = await all(await back.stream({ first: 10, length: 20 }));
      expect(part.equals(BYTES.subarray(10, 30))).toBe(true);
      expect((await all(await back.stream())).equals(BYTES)).toBe(true);
    }
  });

  test("a part of bytes that have changed is an error", async () => {
    await put("name=changing");
    const back = await call("GET /parcel", { name: "changing" });
    await put("name=changing", { body: BYTES.subarray(1) });
    await expect(back.stream({ first: 0, length: 5 })).rejects.toMatchObject({ code: "in_use" });
  });

  test("errors are those of any call", async () => {
    await expect(call("GET /parcel", { name: "nowhere" })).rejects.toMatchObject({ status: 404 });
    const wrong = call("PUT /parcel", { name: "a", breaks: true }, { body: new Blob() });
    await expect(wrong).rejects.toMatchObject({ code: "invalid_input" });
    await expect(parcel({ name: "a", stamp: "red" })).rejects.toThrow(
      "stamp: is no field of a GET",
    );
  });

  test("GET alone has bytes for its type", () => {
    type Of<E extends Endpoint> = Data<E>;
    expectTypeOf<Of<"GET /libvirt/volume/content">>().toEqualTypeOf<BytesOut>();
    expectTypeOf<Of<"PUT /libvirt/volume/content">>().toHaveProperty("source_format");
    expectTypeOf<Of<"GET /libvirt/networks">>().toHaveProperty("networks");
  });
});
