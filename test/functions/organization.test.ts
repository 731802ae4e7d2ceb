/** Tags, collections and searches as callers see them: on a private PostgreSQL, with two hypervisors and one that is away. */
import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bearing, guarded } from "../fixtures/access.ts";
import { slow } from "../fixtures/slowness.ts";
import { folderOf, me } from "../fixtures/store.ts";
import { startServer, type TestServer } from "../server.ts";

const state = folderOf(me());
const access = guarded(
  "access.local = true",
  'default_host = "a"',
  'hosts.a.uri = "test:///default"',
  'hosts.b.uri = "test:///default"',
  'hosts.c.uri = "qemu+unix:///system?socket=/nonexistent/libvirt-sock"',
  'hosts.local.uri = "test:///default"',
);

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ ...access.env, XDG_STATE_HOME: state });
}, slow(120_000));
afterAll(async () => {
  await server.stop();
  access.remove();
  rmSync(state, { recursive: true });
});

const post = (path: string, body: object) => server.post(path, body);
const get = async (path: string) => (await server.get(path)).body;
const error = (code: string, text: string) => ({ code, error: expect.stringContaining(text) });

describe("tags", () => {
  test("before there is a database, a look starts none", async () => {
    const { data } = await get("/tags/list");
    expect(data).toMatchObject({ tags: [], total: 0, registry_error: null });
    expect(data.unreachable).toMatchObject([{ host: "c", code: "unreachable" }]);
    expect((await get("/status")).data.database.state).toBe("unused");
  });

  test("one is registered once, counted where domains have it, and forgotten", async () => {
    const tag = { name: "prod", category: "environment", color: "#1A9C4B" };
    const created = await post("/tags/create", tag);
    expect([created.status, created.body.data]).toEqual([201, { ...tag, color: "#1a9c4b" }]);
    expect((await post("/tags/create", { name: "prod" })).body).toMatchObject(
      error("already_exists", 'tag "prod" is registered'),
    );
    const domains = ["test", "b/test"];
    await post("/tags/assign", { domains, tags: ["prod", "web"] });
    expect((await get("/tags/list")).data.tags).toEqual([
      { name: "prod", category: "environment", color: "#1a9c4b", registered: true, vm_count: 2 },
      { name: "web", category: null, color: null, registered: false, vm_count: 2 },
    ]);
    await post("/tags/remove", { domains, tags: ["prod"] });
    expect((await get("/tags/list")).data.tags[0]).toMatchObject({ name: "prod", vm_count: 0 });
    expect((await post("/tags/delete", { name: "prod" })).status).toBe(200);
    expect((await post("/tags/delete", { name: "prod" })).status).toBe(404);
    expect((await get("/tags/list")).data.tags).toMatchObject([{ name: "web", vm_count: 2 }]);
  });

  test.each([
    [{ name: "a b" }, "name: must be"],
    [{ name: "a", color: "red" }, "color: must be a colour"],
    [{ name: "a", category: "x\ny" }, "category: must not"],
  ])("%j is refused", async (input, text) => {
    expect((await post("/tags/create", input)).body).toMatchObject(error("invalid_input", text));
  });
});

describe("collections", () => {
  test("of paths and of a query: their members now, what is missing, what is not known", async () => {
    const vm_ids = ["a/test", "b/gone", "c/any", "a/test"];
    expect((await post("/collections/create", { name: "listed", vm_ids })).status).toBe(201);
    await post("/collections/create", { name: "on b", query: "host:b state:running" });
    const { collections, total, unreachable } = await get("/collections/list");
    expect([total, unreachable]).toMatchObject([2, [{ host: "c" }]]);
    expect(collections).toMatchObject([
      {
        ...{ name: "listed", vm_ids: ["a/test", "b/gone", "c/any"], query: null, vm_count: 1 },
        ...{ members: ["a/test"], missing: ["b/gone"], unknown: ["c/any"], description: "" },
      },
      { name: "on b", vm_ids: null, members: ["b/test"], missing: [], unknown: [], vm_count: 1 },
    ]);
    await post("/libvirt/domain/destroy?host=b", { name: "test" });
    expect((await get("/collections/list")).collections[1]).toMatchObject({ members: [] });
    expect((await post("/collections/create", { name: "on b", query: "a" })).body.code).toBe(
      "already_exists",
    );
    for (const name of ["listed", "on b"])
      expect((await post("/collections/delete", { name })).status).toBe(200);
    expect((await post("/collections/delete", { name: "listed" })).status).toBe(404);
    expect((await get("/collections/list")).collections).toEqual([]);
  });

  test.each([
    [{ name: "x" }, "vm_ids: exactly one of vm_ids and query"],
    [{ name: "x", vm_ids: ["a/test"], query: "a" }, "vm_ids: exactly one of vm_ids and query"],
    [{ name: "x", vm_ids: ["test"] }, "vm_ids.0: must be host/name"],
    [{ name: "x", vm_ids: ["nowhere/test"] }, "unknown hypervisor"],
    [{ name: "x", query: "(a" }, 'query: at character 1: this "(" is not closed'],
    [{ name: "-x", query: "a" }, "name: must be up to 100"],
  ])("%j is refused", async (input, text) => {
    expect((await post("/collections/create", input)).body).toMatchObject(
      error("invalid_input", text),
    );
  });
});

test("searches are kept, counted and forgotten", async () => {
  const search = { name: "Running", query: "state:running" };
  expect((await post("/searches/create", search)).body.data).toEqual(search);
  expect((await post("/searches/create", search)).body.code).toBe("already_exists");
  expect((await post("/searches/create", { ...search, query: "cpu:>80%" })).body).toMatchObject(
    error("invalid_input", 'query: at character 1: cpu: ">80%" is not a number'),
  );
  const { searches } = await get("/searches/list");
  expect(searches).toMatchObject([{ ...search, unknown: 0 }]);
  const { total } = await get(`/vms/list?q=${encodeURIComponent(search.query)}`);
  expect(searches[0].count).toBe(total);
  expect((await post("/searches/delete", { name: "Running" })).status).toBe(200);
  expect((await get("/searches/list")).searches).toEqual([]);
});

describe("what a query stood for", () => {
  const select = "host:b name:test";
  test("is in the audit log", async () => {
    await post("/libvirt/domain/start?host=b", { name: "test" });
    const { body } = await post("/libvirt/batch/pause", { select });
    expect(body, JSON.stringify(body)).toMatchObject({ successful: 1 });
    const lines = access.audited().filter((line) => line.function === "/libvirt/batch/pause");
    expect(lines).toMatchObject([{ arguments: { select }, selected: ["b/test"], successful: 1 }]);
  });

  test("is what a job locks, and what it has done", async () => {
    const call = { function: "/libvirt/batch/resume", input: { select } };
    const submitted = await post("/jobs/submit", call);
    const [id] = submitted.body.job_ids;
    const ended = async () => {
      const { body } = await server.get(`/jobs/${id}`);
      return ["queued", "running"].includes(body.data.state) ? undefined : body.data;
    };
    let job = await ended();
    for (; !job; job = await ended()) await sleep(50);
    expect(job).toMatchObject({
      ...{ state: "completed", domains: ["b/test"], input: { select } },
      result: { successful: 1, selected: { domains: ["b/test"] } },
    });
    const wrong = await post("/jobs/submit", { ...call, input: { select: "a:" } });
    expect(JSON.stringify(wrong.body)).toContain("select: at character 3");
  });
});

test("a caller who is limited sees none of them, and counts only their own domains", async () => {
  const token = await access.token("limited", { role: "admin", domains: ["other-*"] });
  const bearer = bearing(token);
  expect((await server.get("/tags/list", bearer)).body.data.tags).toEqual([]);
  expect((await server.get("/vms/list", bearer)).body).toMatchObject({ vms: [], total: 0 });
  for (const path of ["/collections/list", "/searches/list"])
    expect((await server.get(path, bearer)).body.code).toBe("forbidden");
});
