/** Answers of events: over HTTP from a server, with the typed client, and from a script. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, describe, expect, expectTypeOf, test, vi } from "vitest";
import { createClient } from "../../../runtime/client/client.ts";
import { log } from "../../../runtime/core/log.ts";
import type { Events, StreamEvent } from "../../../runtime/core/stream.ts";
import { openStreams } from "../../../runtime/http/in-flight.ts";
import { until } from "../../fixtures/fake.ts";
import thingLog from "../../fixtures/functions/thing/log.ts";
import ticks from "../../fixtures/functions/ticks.ts";
import { ask, fetched, functions, send } from "../../fixtures/served.ts";

const ended = vi.spyOn(log, "info");
const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: (one) => route(one) });
const route = (request: Request) => {
  const { pathname, search } = new URL(request.url);
  return fetched(`${pathname}${search}`, { method: request.method, signal: request.signal });
};
afterAll(() => server.stop(true));
const call = createClient(`${server.url}`) as unknown as (
  endpoint: string,
  input?: object,
  options?: object,
) => Promise<Events>;

async function all(events: Events) {
  const found: StreamEvent[] = [];
  for await (const one of events) found.push(one);
  return found;
}
const tick = (n: number) => ({ event: "tick", id: `${n}`, data: { n, pad: "" } });
const hasEnded = () =>
  until(() => ended.mock.calls.some(([text]) => text === "the count has ended"));

describe("what arrives", () => {
  test("events as a browser reads them", async () => {
    const response = await fetched("/ticks?until=2");
    expect([response.status, response.headers.get("Content-Type")]).toEqual([
      200,
      "text/event-stream",
    ]);
    const frame = (n: number) => `event: tick\ndata: {"n":${n},"pad":""}\nid: ${n}\n\n`;
    expect(await response.text()).toBe(`: \n\n${frame(1)}${frame(2)}`);
  });

  test("the typed client and a script get an iterable of them", async () => {
    expect(await all(await call("GET /ticks", { until: 3 }))).toEqual([tick(1), tick(2), tick(3)]);
    expect(await all(await ticks({ until: 2 }))).toEqual([tick(1), tick(2)]);
    expect(await all(await call("GET /ticks", { until: 1, pad: 100_000 }))).toHaveLength(1);
  });

  test("a script has their types", async () => {
    expectTypeOf(await ticks({})).toEqualTypeOf<Events<{ n: number; pad: string }>>();
    expectTypeOf(await thingLog({ id: "hat" })).toEqualTypeOf<
      { lines: string[] } | Events<string>
    >();
  });

  test("an input field chooses between one answer and a stream", async () => {
    const { body } = await ask("/things/log/hat");
    expect(body.data.lines).toEqual(["hat was made", "hat was worn"]);
    const events = await call("GET /things/log/hat", { follow: true });
    expect(await all(events)).toEqual([{ data: "hat was made" }, { data: "hat was worn" }]);
  });

  test("HEAD has no body, and ends the source", async () => {
    const response = await fetched("/ticks?end=never", { method: "HEAD" });
    expect([response.status, await response.text()]).toEqual([200, ""]);
    expect(openStreams.size).toBe(0);
  });

  test("bytes as they are", async () => {
    const response = await fetched("/picture");
    expect(response.headers.get("Content-Type")).toBe("image/png");
    expect([...new Uint8Array(await response.arrayBuffer())]).toEqual([137, 80, 78, 71, 0, 255]);
  });
});

describe("errors", () => {
  test("before the first event have their status", async () => {
    expect(await ask("/ticks?end=refused")).toMatchObject({
      status: 404,
      body: { error: "no such clock", code: "not_found" },
    });
    expect((await ask("/ticks?until=x")).status).toBe(400);
    expect((await send("POST", "/ticks", {})).status).toBe(405);
    await expect(call("GET /ticks", { end: "refused" })).rejects.toMatchObject({ status: 404 });
  });

  test.each(["failed", "odd"])("later ones are an event that tells no secret: %s", async (end) => {
    const text = await (await fetched(`/ticks?until=1&end=${end}`)).text();
    const [, , last = ""] = text.split("\n\n");
    expect(last).toMatch(/^event: error\ndata: /);
    expect(JSON.parse(last.slice("event: error\ndata: ".length))).toEqual({
      error: "internal error; the server's log says more",
      code: "internal",
      timestamp: expect.any(String),
    });
    const events = await call("GET /ticks", { until: 1, end });
    await expect(all(events)).rejects.toMatchObject({ name: "RemoteError", code: "internal" });
    await expect(all(await ticks({ until: 1, end: end as "odd" }))).rejects.toThrow();
  });
});

describe("the end", () => {
  test("of the client's loop is the end of the source", async () => {
    ended.mockClear();
    for await (const one of await call("GET /ticks", {})) if (one.id === "3") break;
    await hasEnded();
    await until(() => openStreams.size === 0);
  });

  test("of a client that waits is the end of the source", async () => {
    ended.mockClear();
    const abort = new AbortController();
    const events = await call("GET /ticks", { until: 1, end: "never" }, { signal: abort.signal });
    const reading = all(events);
    await until(() => openStreams.size === 1);
    abort.abort();
    await expect(reading).rejects.toMatchObject({ code: "cancelled" });
    await hasEnded();
    await until(() => openStreams.size === 0);
  });

  test("of the server is the end of a stream, also of one that nobody reads", async () => {
    ended.mockClear();
    const quiet = await fetch(`${server.url}ticks?until=1&end=never`);
    const unread = await fetch(`${server.url}ticks?pad=100000`);
    await until(() => openStreams.size === 2);
    for (const one of openStreams) one.abort();
    expect(await quiet.text()).toContain("tick");
    await until(() => ended.mock.calls.length === 2);
    expect(openStreams.size).toBe(0);
    await unread.body?.cancel();
  });

  test("a client that does not read holds up the source", async () => {
    let made = 0;
    const counting = functions.find(({ path }) => path === "/ticks")?.function;
    const run = vi.spyOn(counting?.spec as object as { run(): unknown }, "run");
    run.mockImplementation(async () =>
      (async function* () {
        for (; made < 100_000; made++) yield { data: { n: made, pad: "x".repeat(10_000) } };
      })(),
    );
    const response = await fetch(`${server.url}ticks`);
    let before = -1;
    await until(() => {
      const still = made === before && made > 0;
      before = made;
      return still;
    });
    expect(made).toBeLessThan(10_000); // what sockets hold, and not 1 GB
    await response.body?.cancel();
    run.mockRestore();
    await until(() => openStreams.size === 0);
  });

  test("a stream that says nothing says that it lives", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    try {
      const response = await fetched("/ticks?until=1&end=never");
      const reader = response.body?.getReader();
      const next = async () => new TextDecoder().decode((await reader?.read())?.value);
      expect(await next()).toBe(": \n\n");
      expect(await next()).toContain("event: tick");
      await sleep(50); // the server asks its source again
      const comment = next();
      await vi.advanceTimersByTimeAsync(15_000);
      expect(await comment).toBe(": \n\n");
      await reader?.cancel();
      await until(() => openStreams.size === 0);
    } finally {
      vi.useRealTimers();
    }
  });
});
