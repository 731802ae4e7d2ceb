/** Alert rules as callers and receivers see them: without a real hypervisor, on a private PostgreSQL. */
import { rmSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { query } from "../../../runtime/store/database.ts";
import { closeDatabase } from "../../../runtime/store/state.ts";
import { bearing, guarded } from "../../fixtures/access.ts";
import { type HttpReceiver, receiveHttp, until } from "../../fixtures/receivers.ts";
import { slow } from "../../fixtures/slowness.ts";
import { folderOf, me } from "../../fixtures/store.ts";
import { startServer, type TestServer } from "../../server.ts";

const state = folderOf(me());
process.env.XDG_STATE_HOME = state; // `query` asks the server's own database
const SECRET = `whsec_${Buffer.from("a secret of thirty-two bytes! ok").toString("base64")}`;
const access = guarded(
  "access.local = true",
  'default_host = "a"',
  'hosts.local.uri = "test:///default"',
  'hosts.a.uri = "test:///default"',
  'hosts.b.uri = "qemu+unix:///system?socket=/nonexistent/libvirt-sock"',
  'notifications.hosts = ["localhost"]',
  'notifications.private = ["127.0.0.0/8", "::1"]',
  "alerts.period = 1",
);
const env = { ...access.env, XDG_STATE_HOME: state };

let server: TestServer;
let hook: HttpReceiver;
beforeAll(async () => {
  hook = receiveHttp();
  server = await startServer(env);
  const webhook = { url: hook.url, secret: SECRET, events: ["alert.firing", "alert.resolved"] };
  const answer = await server.get("/notifications/update", {
    method: "PUT",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ webhook }),
  });
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
}, slow(120_000));
beforeEach(() => {
  hook.got.length = 0;
});
afterAll(async () => {
  await closeDatabase();
  await server.stop();
  await hook.stop();
  access.remove();
  rmSync(state, { recursive: true });
});

const call = (verb: string, body: object) => server.post(`/alert-rules/${verb}`, body);
const list = async () => (await server.get("/alert-rules/list")).body.rules;
const ruleOf = async (name: string) =>
  (await list()).find((one: { name: string }) => one.name === name);
const told = (name: string) =>
  hook.got.filter(({ body }) => body.data.rule === name).map(({ body }) => body.type);
/** A network of that name is there already. */
const failingJob = () =>
  server.post("/jobs/submit", {
    function: "/libvirt/network/create",
    input: { name: "default", subnet: "192.168.124.1" },
  });

test.each([
  [{ name: "a/b", condition: "domain_crashed" }, /^name: must be/],
  [{ name: "x", condition: "moon_full" }, /^condition: /],
  [{ name: "x", condition: "cpu_usage" }, /^threshold: must be percent/],
  [{ name: "x", condition: "cpu_usage", threshold: 101 }, /^threshold: /],
  [{ name: "x", condition: "cpu_usage", threshold: 100 }, /^threshold: must be below 100 percent/],
  [
    { name: "x", condition: "failed_jobs", threshold: { count: 1 } },
    /^threshold\.period: required \(/,
  ],
  [
    { name: "x", condition: "failed_jobs", threshold: { count: 1, perod: 5 } },
    /threshold: unknown key "perod" \(allowed in threshold: count, period\)/,
  ],
  [
    { name: "x", condition: "failed_jobs", threshold: { count: 1, period: 0 } },
    /^threshold\.period: must be a second at least/,
  ],
  [
    { name: "x", condition: "failed_jobs", threshold: 3 },
    /^threshold: must be \{ count, period \}/,
  ],
  [{ name: "x", condition: "domain_crashed", threshold: 3 }, /^threshold: domain_crashed has none/],
  [{ name: "x", condition: "cpu_usage", threshold: 5, hysteresis: 5 }, /^hysteresis: must be less/],
  [{ name: "x", condition: "host_unreachable", objects: ["b"] }, /^objects: host_unreachable has/],
  [{ name: "x", condition: "domain_crashed", for: "soon" }, /^for: must be seconds/],
  [{ name: "x", condition: "domain_crashed", actions: ["pigeon"] }, /^actions\.0: /],
  [
    { name: "x", condition: "domain_crashed", hosts: ["a", "z"] },
    /^hosts\.1: unknown hypervisor "z"/,
  ],
  [{ name: "x", condition: "domain_crashed", silence_until: "later" }, /^silence_until: /],
  [{ name: "x", condition: "domain_crashed", colour: 1 }, /unknown key "colour"/],
])("a bad rule is a 400 that names the field: %j", async (body, text) => {
  const answer = await call("create", body);
  expect([answer.status, answer.body.code]).toEqual([400, "invalid_input"]);
  expect(answer.body.error).toMatch(text);
});

test("jobs that fail fire once, and the end of their period is told once", async () => {
  const rule = {
    ...{ name: "jobs", condition: "failed_jobs", threshold: { count: 2, period: "15s" } },
    ...{ metadata: { team: "ops" }, actions: ["webhook"] },
  };
  const created = await call("create", rule);
  expect(created.status, JSON.stringify(created.body)).toBe(201);
  expect((await call("create", rule)).body.code).toBe("already_exists");
  await failingJob();
  await until(async () => (await ruleOf("jobs")).last_value === 1);
  expect(await ruleOf("jobs")).toMatchObject({ state: "ok", alerts: [] });
  await failingJob();
  await until(() => told("jobs").length > 0);
  const [got] = hook.got;
  expect(got?.body.data).toMatchObject({
    ...{ rule: "jobs", condition: "failed_jobs", state: "firing", value: 2 },
    ...{ threshold: { count: 2, period: 15 }, metadata: { team: "ops" }, host: null },
  });
  expect(await ruleOf("jobs")).toMatchObject({
    state: "firing",
    alerts: [{ told: true, value: 2 }],
  });
  await until(() => told("jobs").includes("alert.resolved"));
  await until(async () => (await ruleOf("jobs")).state === "ok");
  expect(told("jobs")).toEqual(["alert.firing", "alert.resolved"]);
  expect((await call("delete", { name: "jobs" })).status).toBe(200);
  expect((await call("delete", { name: "jobs" })).body.code).toBe("not_found");
});

test("a hypervisor that cannot be reached fires after its time, and still does after a restart, told once", async () => {
  await call("create", { name: "away", condition: "host_unreachable", for: 2 });
  const pending = await until(async () => {
    const rule = await ruleOf("away");
    return rule.state !== "ok" && rule;
  });
  expect(pending.alerts[0]).toMatchObject({ host: "b", object: null });
  await until(() => told("away").length > 0);
  expect(hook.got[0]?.body.data.title).toMatch(
    /^\[firing\] away: hypervisor b cannot be reached: /,
  );
  // a server that dies before it has noted that the message was taken sends it again
  await until(
    async () => (await server.get("/notifications/config")).body.webhook.status.waiting === 0,
  );
  process.kill(server.pid, "SIGKILL");
  await server.stop();
  server = await startServer(env);
  const before = (await ruleOf("away")).evaluated_at;
  await until(async () => (await ruleOf("away")).evaluated_at > before);
  expect(await ruleOf("away")).toMatchObject({
    state: "firing",
    alerts: [{ host: "b", told: true }],
  });
  expect(told("away")).toEqual(["alert.firing"]);
});

test("a rule that is silenced tells nobody, and a disabled one is about nothing", async () => {
  const silence_until = new Date(Date.now() + 3_600_000).toISOString();
  await call("create", { name: "quiet", condition: "host_unreachable", silence_until });
  await until(async () => (await ruleOf("quiet")).state === "firing");
  expect(await ruleOf("quiet")).toMatchObject({ silence_until, alerts: [{ told: false }] });
  expect(told("quiet")).toEqual([]);
  expect((await call("update", { name: "quiet", silence_until: null })).status).toBe(200);
  await until(() => told("quiet").length > 0);
  const off = await call("update", { name: "quiet", enabled: false });
  expect(off.body.data).toMatchObject({ enabled: false, state: "ok", alerts: [] });
  await call("update", { name: "quiet", enabled: true });
  await until(async () => (await ruleOf("quiet")).state === "firing");
});

test("a schedule that has missed its time fires until it has made a job again", async () => {
  const input = { pool: "default-pool", name: "night", capacity: "1MiB" };
  const night = {
    ...{ name: "nightly", cron_expr: "0 3 1 1 *", timezone: "UTC" },
    job_template: { function: "/libvirt/volume/create", input },
  };
  expect((await server.post("/schedules/create", night)).status).toBe(201);
  await server.post("/schedules/create", { ...night, name: "weekly" });
  await call("create", { name: "missed", condition: "schedule_missed", objects: ["night*"] });
  await until(async () => (await ruleOf("missed")).evaluated_at);
  expect(await ruleOf("missed")).toMatchObject({ state: "ok", error: null });
  await query("UPDATE schedule SET next_at = '2026-01-01T03:00Z'");
  await until(() => told("missed").length > 0);
  // as long as no worker has looked, it is late
  const missed = /^missed its time: no worker (makes its job|ran at 20\d\d-01-01T03:00:00.000Z)$/;
  const got = hook.got.find(({ body }) => body.data.rule === "missed");
  expect(got?.body.data).toMatchObject({
    ...{ host: "a", object: "nightly", detail: expect.stringMatching(missed) },
  });
  await until(async () => (await ruleOf("missed")).alerts[0]?.detail.includes("ran at"));
  expect((await server.post("/schedules/trigger", { name: "nightly" })).status).toBe(202);
  await until(() => told("missed").includes("alert.resolved"));
  expect(told("missed")).toEqual(["alert.firing", "alert.resolved"]);
});

test("what cannot be read is named, and fires nothing", async () => {
  await call("create", { name: "full", condition: "storage_usage", threshold: 0 });
  await until(async () => (await ruleOf("full")).error);
  const rule = await ruleOf("full");
  expect(rule.error).toMatch(/^b: /);
  expect(rule).toMatchObject({ state: "ok", alerts: [] });
});

test("only callers without limits may see rules, and only administrators change them", async () => {
  const read = bearing(await access.token("r", { role: "read" }));
  const limited = bearing(await access.token("l", { role: "admin", hosts: ["a"] }));
  expect((await server.get("/alert-rules/list", read)).status).toBe(200);
  expect((await server.get("/alert-rules/list", limited)).status).toBe(403);
  const init = { headers: { ...read.headers, "Content-Type": "application/json" } };
  expect((await server.post("/alert-rules/delete", { name: "away" }, init)).status).toBe(403);
});
