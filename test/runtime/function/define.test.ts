/** The function contract: called from a script, fetched over HTTP, and described. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, expectTypeOf, test, vi } from "vitest";
import * as z from "zod";
import { HyperError } from "../../../runtime/core/errors.ts";
import { log } from "../../../runtime/core/log.ts";
import { defineFunction } from "../../../runtime/function/define.ts";
import type { Context } from "../../../runtime/hypervisor/context.ts";
import { answering } from "../../fixtures/fake.ts";

const folder = mkdtempSync(join(tmpdir(), "hypersdk-function-"));
process.env.HYPERSDK_CONFIG = join(folder, "hypersdk.toml");
writeFileSync(
  process.env.HYPERSDK_CONFIG,
  'max_body = 1000\nhosts.local.uri = "test:///default"\nhosts.kvm1.uri = "qemu:///fake"',
);
afterAll(() => rmSync(folder, { recursive: true }));

const greet = defineFunction({
  method: "GET",
  access: "read",
  summary: "Greet",
  input: z.strictObject({ name: z.string().min(2, "is too short"), title: z.string().optional() }),
  output: z.object({ text: z.string(), host: z.string() }),
  message: ({ text }, { name }) => `${text} (${name})`,
  examples: [{ name: "Ada" }],
  run: async ({ name }, { host }) => ({ text: `Hello ${name}`, host }),
});

const sum = defineFunction({
  method: "POST",
  access: "admin",
  summary: "Add up",
  status: 201,
  input: z.strictObject({ numbers: z.array(z.number()), start: z.number().default(0) }),
  output: z.object({ total: z.number() }),
  message: "Added",
  run: async ({ numbers, start }) => ({ total: numbers.reduce((a, b) => a + b, start) }),
});

/** A function that fails as it is told. */
const fail = defineFunction({
  method: "POST",
  access: "admin",
  summary: "Fail",
  input: z.strictObject({ how: z.string() }),
  output: z.object({ number: z.number() }),
  message: "Failed to fail",
  async run({ how }) {
    if (how === "bad output") return { number: "one" as unknown as number };
    if (how === "unknown") throw new Error("the password is hunter2");
    throw new HyperError(how as "not_found", `${how} it is`, { details: { left: ["disk"] } });
  },
});

interface Fetchable {
  fetch(request: Request): Response | Promise<Response>;
}
async function fetched(one: Fetchable, path = "", init?: RequestInit) {
  const response = await one.fetch(new Request(`http://localhost/any/path${path}`, init));
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text && JSON.parse(text) };
}
const post = (
  one: Fetchable,
  body: unknown,
  { path = "", ...init }: RequestInit & { path?: string } = {},
) =>
  fetched(one, path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...init,
  });
const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
const invalid = (error: string, issues: unknown = expect.any(Array)) => ({
  error,
  code: "invalid_input",
  issues,
  timestamp: TIME,
});

describe("called from a script", () => {
  test("the input and the answer have the schemas' types", async () => {
    expectTypeOf(greet).parameter(0).toEqualTypeOf<{ name: string; title?: string | undefined }>();
    expectTypeOf(sum)
      .parameter(0)
      .toEqualTypeOf<{ numbers: number[]; start?: number | undefined }>();
    const { total } = await sum({ numbers: [1, 2] });
    expectTypeOf(total).toEqualTypeOf<number>();
    expect(total).toBe(3);
    // @ts-expect-error a number is no name
    await expect(greet({ name: 7 })).rejects.toThrow("name: ");
  });

  test("a bad input is refused as it is over HTTP", async () => {
    await expect(greet({ name: "A" })).rejects.toMatchObject({
      name: "HyperError",
      code: "invalid_input",
      message: "name: is too short",
    });
    const more = { name: "Ada", nmae: "x" };
    await expect(greet(more)).rejects.toThrow('unknown key "nmae" (allowed: name, title)');
  });

  test("an error of the function is the caller's", async () => {
    await expect(fail({ how: "in_use" })).rejects.toMatchObject({ code: "in_use", status: 500 });
    await expect(fail({ how: "bad output" })).rejects.toThrow();
  });

  test("the hypervisor is the default one, the one asked for, or an error that names all", async () => {
    expect(await greet({ name: "Ada" })).toMatchObject({ host: "local" });
    expect(await greet({ name: "Ada" }, { host: "kvm1" })).toMatchObject({ host: "kvm1" });
    await expect(greet({ name: "Ada" }, { host: "kvm2" })).rejects.toThrow(
      'host: unknown hypervisor "kvm2"; configured: local, kvm1',
    );
    await expect(greet({ name: "Ada" }, { host: "constructor" })).rejects.toThrow("unknown");
  });

  test("an option that is not given counts as none", async () => {
    const options = { host: undefined, signal: undefined, virsh: undefined };
    expect(await greet({ name: "Ada" }, options)).toMatchObject({ host: "local" });
    const parts = defineFunction({
      method: "GET",
      access: "read",
      summary: "Tell what the context has",
      input: z.strictObject({}),
      output: z.array(z.string()),
      message: "Told",
      run: async (_, { virsh, exec }) => [typeof virsh, typeof exec],
    });
    const none = { virsh: undefined, exec: undefined };
    expect(await parts({}, none as object)).toEqual(["function", "function"]);
  });

  test("any part of the context can be replaced", async () => {
    const seen: Context[] = [];
    const look = defineFunction({
      method: "GET",
      access: "read",
      summary: "Look",
      input: z.strictObject({}),
      output: z.string(),
      message: "Looked",
      async run(_input, ctx) {
        seen.push(ctx);
        return ctx.virsh(["list"]);
      },
    });
    const { virsh, calls } = answering(() => "listed");
    expect(await look({}, { virsh, host: "nowhere" })).toBe("listed");
    expect(calls).toEqual([["list"]]);
    const { signal } = new AbortController();
    const exec = async () => ({ stdout: "", stderr: "", exitCode: 0 });
    await look({}, { virsh, signal, exec });
    expect(seen[0]).toMatchObject({ host: "nowhere", hosts: ["nowhere"] });
    expect(seen[1]).toMatchObject({ host: "local", exec });
    expect(seen[1]?.signal).toBe(signal);
  });
});

describe("fetched: what is well", () => {
  test("GET reads the query; the answer stands in the reference's envelope", async () => {
    const { status, headers, body } = await fetched(greet, "?name=Ada%20%C3%BC");
    expect(status).toBe(200);
    expect(headers.get("Content-Type")).toMatch(/^application\/json/);
    expect(body).toEqual({
      status: "success",
      message: "Hello Ada ü (Ada ü)",
      data: { text: "Hello Ada ü", host: "local" },
      timestamp: TIME,
    });
  });

  test("POST reads a JSON body; what creates answers 201", async () => {
    expect(await post(sum, { numbers: [1, 2], start: 4 })).toMatchObject({
      status: 201,
      body: { status: "success", message: "Added", data: { total: 7 } },
    });
  });

  test.each([
    "application/json; charset=utf-8",
    "APPLICATION/JSON",
    "application/merge-patch+json",
  ])("a body may be %s", async (type) => {
    const { status } = await post(sum, { numbers: [] }, { headers: { "Content-Type": type } });
    expect(status).toBe(201);
  });

  test("HEAD answers as GET, without the body", async () => {
    expect(await fetched(greet, "?name=Ada", { method: "HEAD" })).toMatchObject({
      status: 200,
      body: "",
    });
    expect(await fetched(greet, "", { method: "HEAD" })).toMatchObject({ status: 400, body: "" });
  });

  test("an answer that is a text: its own type, no envelope, in no other site's frame", async () => {
    const page = defineFunction({
      method: "GET",
      access: "read",
      summary: "Show a page",
      input: z.strictObject({}),
      output: z.string(),
      message: null,
      media: "text/html; charset=utf-8",
      run: async () => "<p>ü</p>",
    });
    const response = await page.fetch(new Request("http://localhost/"));
    expect(await response.text()).toBe("<p>ü</p>");
    expect(Object.fromEntries(response.headers)).toEqual({
      "content-type": "text/html; charset=utf-8",
      "x-frame-options": "DENY",
      "x-content-type-options": "nosniff",
    });
    expect((await fetched(page, "?a=b")).body).toMatchObject({ code: "invalid_input" });
  });

  test("?host= and X-Hypervisor choose the hypervisor and are no input", async () => {
    const headers = { "X-Hypervisor": "kvm1" };
    expect((await fetched(greet, "?name=Ada&host=kvm1")).body.data.host).toBe("kvm1");
    expect((await fetched(greet, "?name=Ada", { headers })).body.data.host).toBe("kvm1");
    expect((await fetched(greet, "?name=Ada&host=local", { headers })).body.data.host).toBe(
      "local",
    );
    expect((await post(sum, { numbers: [] }, { path: "?host=kvm1" })).status).toBe(201);
  });
});

describe("fetched: 400", () => {
  test.each([
    ["", "name: required (string)", [{ path: "name", message: "required (string)" }]],
    ["?name=A", "name: is too short", [{ path: "name", message: "is too short" }]],
    [
      "?name=Ada&nmae=x",
      'unknown key "nmae" (allowed: name, title)',
      [{ path: "", message: 'unknown key "nmae"' }],
    ],
    [
      "?name=Ada&name=Bob",
      "name: Invalid input: expected string, received array",
      [{ path: "name", message: "Invalid input: expected string, received array" }],
    ],
  ])("the query %j: %s", async (query, error, issues) => {
    expect(await fetched(greet, query)).toMatchObject({
      status: 400,
      body: invalid(error, issues),
    });
  });

  test.each<[unknown, string]>([
    [{}, "numbers: required (array)"],
    [{ numbers: [1, "2"] }, "numbers.1: Invalid input: expected number, received string"],
    [{ numbers: [], numbres: 1, x: 2 }, 'unknown keys "numbres", "x" (allowed: numbers, start)'],
    [[], "Invalid input: expected object, received array"],
    ["null", "Invalid input: expected object, received null"],
  ])("the body %j: %s", async (body, error) => {
    expect(await post(sum, body)).toMatchObject({ status: 400, body: invalid(error) });
  });

  test.each(["", "{", "{'numbers': []}", '{"numbers": []} x', "\uFEFF{"])(
    "the body %j is no JSON",
    async (body) => {
      const { status, body: answer } = await post(sum, body);
      expect(status).toBe(400);
      expect(answer).toEqual({
        error: "body: not valid JSON",
        code: "invalid_input",
        timestamp: TIME,
      });
    },
  );

  test("a key that would reach into the language is unknown like any other", async () => {
    const { status, body } = await post(sum, '{"numbers": [], "__proto__": {"start": 1}}');
    expect([status, body.code]).toEqual([400, "invalid_input"]);
  });

  test("a query key of a POST", async () => {
    expect(await post(sum, { numbers: [] }, { path: "?start=1&host=local" })).toMatchObject({
      status: 400,
      body: { error: 'query: unknown key "start"; parameters belong in the JSON body' },
    });
  });

  test.each(["kvm2", "", "constructor", "qemu:///system"])("the hypervisor %j", async (host) => {
    const error = expect.stringContaining(`unknown hypervisor "${host}"; configured: local, kvm1`);
    const query = await fetched(greet, `?name=Ada&host=${host}`);
    const header = await fetched(greet, "?name=Ada", { headers: { "X-Hypervisor": host } });
    for (const { status, body } of [query, header]) {
      expect(status).toBe(400);
      expect(body).toEqual({ error, code: "invalid_input", timestamp: TIME });
    }
  });
});

describe("fetched: other errors", () => {
  test.each(["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])(
    "405 for %s of a GET",
    async (method) => {
      const { status, headers, body } = await fetched(greet, "?name=Ada", { method });
      expect([status, headers.get("Allow"), body.code]).toEqual([
        405,
        "GET, HEAD",
        "method_not_allowed",
      ]);
      expect(body.error).toBe(`${method} is not allowed here; use GET`);
    },
  );

  test.each(["GET", "HEAD", "PUT"])("405 for %s of a POST", async (method) => {
    const { status, headers } = await fetched(sum, "", { method });
    expect([status, headers.get("Allow")]).toEqual([405, "POST"]);
  });

  test("413 names the limit, which is the configured one", async () => {
    const error = { error: "body: at most 1000 bytes", code: "payload_too_large" };
    const numbers = Array.from({ length: 600 }, () => 1);
    expect(await post(sum, { numbers })).toMatchObject({ status: 413, body: error });
    const stream = new Blob([JSON.stringify({ numbers })]).stream();
    expect(await post(sum, "", { body: stream })).toMatchObject({ status: 413, body: error });
    expect(await post(sum, { numbers: numbers.slice(0, 400) })).toMatchObject({ status: 201 });
  });

  test.each([
    ["text/plain", "text/plain"],
    ["application/x-www-form-urlencoded", "application/x-www-form-urlencoded"],
    ["text/json", "text/json"],
    ["application/jsonx", "application/jsonx"],
    ["", "none"],
  ])("415 for a body of type %s", async (type, named) => {
    const { status, body } = await post(
      sum,
      { numbers: [] },
      type ? { headers: { "Content-Type": type } } : { headers: {} },
    );
    expect(status).toBe(415);
    expect(body).toMatchObject({
      error: `Content-Type must be application/json, not ${named}`,
      code: "unsupported_media_type",
    });
  });

  test.each([
    ["not_found", 404],
    ["in_use", 500],
    ["outcome_unknown", 500],
    ["unreachable", 503],
    ["timed_out", 504],
  ])("the function's own %s is %i, with its details", async (how, status) => {
    const answer = await post(fail, { how });
    expect(answer.status).toBe(status);
    expect(answer.body).toEqual({
      error: `${how} it is`,
      code: how,
      left: ["disk"],
      timestamp: TIME,
    });
  });

  test.each(["unknown", "bad output"])("%s: 500, and only the log sees why", async (how) => {
    const logged = vi.spyOn(log, "error").mockImplementation(() => {});
    const { status, body } = await post(fail, { how });
    expect(status).toBe(500);
    expect(body).toEqual({
      error: "internal error; the server's log says more",
      code: "internal",
      timestamp: TIME,
    });
    const cause = logged.mock.calls[0]?.[0] as unknown as { error: Error; path: string };
    expect(cause.path).toBe("/any/path");
    expect(cause.error.message).toMatch(how === "unknown" ? "hunter2" : "expected number");
    logged.mockRestore();
  });

  test("a caller that goes away is seen by a GET's context, and by a POST's ctx.signal", async () => {
    const seen: AbortSignal[] = [];
    const make = (method: "GET" | "POST") =>
      defineFunction({
        method,
        access: "read",
        summary: "Wait",
        input: z.strictObject({}),
        output: z.null(),
        message: "Waited",
        async run(_input, { signal }) {
          seen.push(signal);
          return null;
        },
      });
    for (const method of ["GET", "POST"] as const) {
      const caller = new AbortController();
      const body = method === "POST" ? { body: "{}" } : {};
      const headers = { "Content-Type": "application/json" };
      await fetched(make(method), "", { method, signal: caller.signal, headers, ...body });
      expect(seen.at(-1)?.aborted).toBe(false);
      caller.abort();
      expect(seen.at(-1)?.aborted).toBe(true);
    }
  });
});

describe("as Bun's server sees it", () => {
  test("on loopback, never cut off for being idle, and without properties that Bun trips over", () => {
    expect([greet.hostname, greet.idleTimeout]).toEqual(["127.0.0.1", 0]);
    expect(greet.fetch).toBeTypeOf("function");
    expect(greet.spec).toMatchObject({
      method: "GET",
      access: "read",
      summary: "Greet",
      examples: [{ name: "Ada" }],
    });
    expect(Object.keys(greet).sort()).toEqual(["fetch", "hostname", "idleTimeout", "run", "spec"]);
    for (const name of ["stop", "error", "port"]) expect(greet).not.toHaveProperty(name);
  });
});
