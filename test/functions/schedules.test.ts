/** Schedules as callers see them: on a server with a private PostgreSQL, and libvirt's own test hypervisor. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { revokeToken } from "../../runtime/access/token-editor.ts";
import { bearing, guarded, noticed } from "../fixtures/access.ts";
import { readExposition } from "../fixtures/exposition.ts";
import { slow } from "../fixtures/slowness.ts";
import { folderOf, me } from "../fixtures/store.ts";
import { type Answer, startServer, type TestServer } from "../server.ts";

const state = folderOf(me());
const access = guarded(
  "access.local = true",
  'default_host = "a"',
  'hosts.a.uri = "test:///default"',
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

const template = { function: "/libvirt/network/create", input: { name: "n1" } };
const wanted = { name: "nightly", cron_expr: "30 2 * * *", job_template: template };
const call = (verb: string, body: object = { name: "nightly" }) =>
  server.post(`/schedules/${verb}`, body);
const list = async () => (await server.get("/schedules/list")).body.schedules;
const status = async (answer: Promise<Answer>) => (await answer).status;

test("before there is a database, neither status nor metrics start one", async () => {
  const { body } = await server.get("/status");
  expect(body.data.jobs).toBeNull();
  const text = await (await fetch(`${server.url}/metrics`)).text();
  expect(readExposition(text).filter(({ name }) => name === "hypersdk_jobs")).toEqual([]);
  expect((await server.get("/status")).body.data.database.state).toBe("unused");
});

test.each([
  [{ ...wanted, cron_expr: "61 * * * *" }, /^cron_expr: minute "61": .* expected range 0-59/],
  [{ ...wanted, timezone: "Mars/Olympus" }, /^timezone: unknown time zone "Mars\/Olympus"/],
  [{ ...wanted, name: "a/b" }, /^name: must be/],
  [{ ...wanted, overlap: "both" }, /^overlap: /],
  [{ ...wanted, job_template: { function: "/none" } }, /^job_template\.function: no function/],
  [{ ...wanted, job_template: { function: "/health" } }, /^job_template\.function: .* only reads/],
  [{ ...wanted, job_template: { ...template, input: {} } }, /^job_template\.input: name: required/],
  [{ ...wanted, job_template: { ...template, host: "b" } }, /^job_template\.host: unknown/],
])("a bad schedule is a 400 that names the field: %j", async (body, text) => {
  const answer = await call("create", body);
  expect([answer.status, answer.body.code]).toEqual([400, "invalid_input"]);
  expect(answer.body.error).toMatch(text);
});

test("a schedule is created, listed, disabled, enabled, triggered and deleted", async () => {
  const created = await call("create", wanted);
  expect(created.status, JSON.stringify(created.body)).toBe(201);
  const { next_runs } = created.body.data;
  expect(next_runs).toHaveLength(5);
  for (const time of next_runs) expect(time).toMatch(/^\d{4}-\d\d-\d\dT02:30:00\.000Z$/);
  expect(await list()).toMatchObject([
    { name: "nightly", cron_expr: "30 2 * * *", timezone: "UTC", enabled: true, runs: 0 },
  ]);
  expect((await list())[0].job_template).toEqual({ ...template, host: "a", priority: 0 });
  expect((await call("create", wanted)).body.code).toBe("already_exists");

  expect(await status(call("disable"))).toBe(200);
  expect(await list()).toMatchObject([{ enabled: false, next_runs: [] }]);
  expect((await list())[0].disabled_because).toMatch(/^disabled by /);
  expect(await status(call("enable"))).toBe(200);
  expect(await list()).toMatchObject([{ enabled: true, disabled_because: null }]);

  const triggered = await call("trigger");
  expect(triggered.status, JSON.stringify(triggered.body)).toBe(202);
  const { job_id } = triggered.body.data;
  expect(triggered.headers.get("location")).toBe(`/jobs/${job_id}`);
  const job = await ended(job_id);
  expect(job).toMatchObject({ schedule: "nightly", function: "/libvirt/network/create" });
  expect(await list()).toMatchObject([{ runs: 1, last_job: job_id, last_result: job.state }]);

  expect(await status(call("delete"))).toBe(200);
  expect(await list()).toEqual([]);
  for (const verb of ["delete", "enable", "disable", "trigger"]) {
    const { status, body } = await call(verb);
    expect([status, body.error]).toEqual([404, 'name: no schedule "nightly"']);
  }
});

async function ended(id: string) {
  for (let tries = 0; tries < slow(200); tries++) {
    const job = (await server.get(`/jobs/${id}`)).body;
    const found = job.data ?? job;
    if (["completed", "failed", "cancelled"].includes(found.state)) return found;
    await Bun.sleep(50);
  }
  throw new Error(`job ${id} does not end:\n${server.log()}`);
}

test("jobs are counted by their function and result, in status and by state", async () => {
  const { body } = await server.get("/status");
  expect(body.data.jobs).toEqual({ queued: 0, running: 0, failed_24h: expect.any(Number) });
  const samples = readExposition(await (await fetch(`${server.url}/metrics`)).text());
  const of = (wanted: string) => samples.filter(({ name }) => name === wanted);
  expect(of("hypersdk_jobs").map(({ labels, value }) => [labels.state, value])).toEqual([
    ["queued", 0],
    ["running", 0],
    ["cancelling", 0],
  ]);
  expect(of("hypersdk_jobs_ended_total")).toMatchObject([
    { labels: { function: "/libvirt/network/create" }, value: 1 },
  ]);
  for (const name of ["hypersdk_job_wait_seconds_count", "hypersdk_job_duration_seconds_count"]) {
    expect(of(name)).toMatchObject([{ value: 1 }]);
  }
});

/** Its time has come. */
async function due(name: string) {
  const host = join(state, "hypersdk/postgres");
  const client = new Client({ host, user: "hypersdk", database: "postgres" });
  await client.connect();
  await client.query("UPDATE hypersdk.schedule SET next_at = now() WHERE name = $1", [name]);
  await client.end();
}

async function listed(name: string, holds: (schedule: { last_result: string }) => boolean) {
  for (let tries = 0; tries < slow(200); tries++) {
    const found = (await list()).find((one: { name: string }) => one.name === name);
    if (holds(found)) return found;
    await Bun.sleep(50);
  }
  throw new Error(`schedule ${name} is another one:\n${JSON.stringify(await list())}`);
}

test("a time makes a job, which the audit log has from its submission on", async () => {
  await call("create", { ...wanted, name: "timed", catch_up: true });
  await due("timed");
  const done = ["completed", "failed"];
  const { last_job } = await listed("timed", ({ last_result }) => done.includes(last_result));
  const lines = access.audited().filter(({ job }) => job === last_job);
  expect(lines.map(({ result }) => result)).toEqual(["submitted", "started", expect.any(String)]);
  for (const line of lines) expect(line).toMatchObject({ schedule: "timed", host: "a" });
  await call("delete", { name: "timed" });
});

test("others than an unlimited administrator see and touch their own; a revoked token's stops", async () => {
  const ops = bearing(await access.token("ops", { role: "admin", hosts: ["a"] }));
  const look = bearing(await access.token("look", { role: "read", hosts: ["a"] }));
  const post = (verb: string, body: object) =>
    server.post(`/schedules/${verb}`, body, {
      headers: { ...ops.headers, "Content-Type": "application/json" },
    });
  const mine = { ...wanted, name: "mine", catch_up: true, enabled: false };
  await call("create", wanted);
  expect(await status(post("create", mine))).toBe(201);
  const seen = async (who: object) =>
    (await server.get("/schedules/list", who)).body.schedules.map(
      (one: { name: string }) => one.name,
    );
  expect(await seen(ops)).toEqual(["mine"]);
  expect(await seen(look)).toEqual([]);
  expect(await seen({})).toEqual(["mine", "nightly"]);
  for (const verb of ["delete", "enable", "disable", "trigger"]) {
    expect(await status(post(verb, { name: "nightly" }))).toBe(404);
  }
  expect(await status(post("trigger", { name: "mine" }))).toBe(202);
  await call("enable", { name: "mine" });
  await revokeToken("ops", access.tokens);
  await noticed();
  await due("mine");
  const stopped = await listed("mine", ({ last_result }) => last_result === "refused");
  expect(stopped).toMatchObject({ enabled: false, next_runs: [] });
  expect(stopped.disabled_because).toMatch(/token "ops" .* the token was revoked/);
  expect((await call("trigger", { name: "mine" })).body.code).toBe("forbidden");
});
