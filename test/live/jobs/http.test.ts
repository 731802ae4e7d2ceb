/** Jobs over HTTP: what is refused, what is the same call again, whose job it is, and what needs no database. */
import { randomUUID } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { revokeToken } from "../../../runtime/access/token-editor.ts";
import { bearing, type Guarded, guarded } from "../../fixtures/access.ts";
import { type JobHost, startHost, stopHosts } from "../../fixtures/live/jobs.ts";
import { image, machine, names, programs, wipe } from "../../fixtures/live/machine.ts";
import { expectError, expectSuccess } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { freePort } from "../../lab/sshd.ts";

const STATE = "/run/jobs-http";
let host: JobHost;
beforeAll(async () => {
  const bin = programs("/run/bin-http", {
    "qemu-img": 'while [ -e /run/hold ]; do sleep 0.1; done; exec $REAL "$@"',
  });
  host = await startHost({ state: STATE, env: { PATH: `${bin}:${process.env.PATH}` } });
});
afterEach(async () => {
  rmSync("/run/hold", { force: true });
  await wipe();
});
afterAll(stopHosts);

const submit = (body: object, init?: RequestInit) => host.post("/jobs/submit", body, init);
const keyed = (key: string, more: Record<string, string> = {}) => ({
  headers: { "Content-Type": "application/json", "Idempotency-Key": key, ...more },
});
describe("what is refused, and is no job", () => {
  test.each([
    ["an unknown function", { function: "/libvirt/nothing" }, /^function: no function/],
    ["a read", { function: "/libvirt/domains" }, /^function: \/libvirt\/domains only reads/],
    [
      "a call about the server",
      { function: "/jobs/submit", input: { function: "/x" } },
      /^function: /,
    ],
    ["a missing field", { function: "/libvirt/clone", input: { source: "a" } }, /^input: target/],
    [
      "an unknown field",
      { function: "/libvirt/domain/start", input: { name: "a", x: 1 } },
      /^input: .*x/,
    ],
    ["no function", { input: {} }, /function, jobs and vm_path/],
    [
      "a time that is none",
      { function: "/libvirt/domain/start", input: { name: "a" }, run_at: "soon" },
      /^run_at/,
    ],
    [
      "an unknown host",
      { function: "/libvirt/domain/start", input: { name: "a" }, host: "moon" },
      /host/,
    ],
  ])("%s", async (_, body, text) => {
    expectError(await submit(body), 400, "invalid_input", text);
  });

  test("of several, each has its reason, and the others are jobs", async () => {
    const good = { function: "/libvirt/domain/start", input: { name: "none" } };
    const { status, body } = await submit({ jobs: [{ function: "/libvirt/domains" }, good] });
    expect([status, body.accepted, body.rejected]).toEqual([202, 1, 1]);
    expect(body.errors).toMatchObject([{ index: 0, code: "invalid_input" }]);
    const { state, error } = await host.ended(body.job_ids[0]);
    expect([state, error.code]).toEqual(["failed", "not_found"]);
  });

  test("more than the limit of a body", async () => {
    const input = { name: "x".repeat(1100 * 1024) };
    const answer = await submit({ function: "/libvirt/domain/start", input });
    expectError(answer, 413, "payload_too_large", /./);
  });
});

describe("Idempotency-Key", () => {
  const create = (name: string, init: RequestInit) =>
    host.post("/libvirt/volume/create", { pool: "default", name, capacity: "1MiB" }, init);

  test("a synchronous call: the first answer again; for another body a 422", async () => {
    const first = await create("v1.qcow2", keyed("k1"));
    expectSuccess(first, 201);
    const again = await create("v1.qcow2", keyed("k1"));
    expect([again.status, again.body]).toEqual([201, first.body]);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expectError(await create("v2.qcow2", keyed("k1")), 422, "idempotency_mismatch", /Key/);
    const refused = await create("v1.qcow2", keyed("k2"));
    expectError(refused, 500, "already_exists", /exists/);
    expectError(await create("v1.qcow2", keyed("k2")), 500, "already_exists", /exists/);
    expectError(await create("v3.qcow2", keyed("no spaces")), 400, "invalid_input", /Key/);
  });

  test("while the first is at work: a 409 that says so", async () => {
    await machine("base", { disks: [await image("base.raw")] });
    writeFileSync("/run/hold", "");
    const clone = () =>
      host.post("/libvirt/clone", { source: "base", target: "copy" }, keyed("k3"));
    const both = [clone(), clone()]; // whichever arrives first is at work, and the other one is refused
    expectError(await Promise.race(both), 409, "idempotency_conflict", /at work/);
    rmSync("/run/hold");
    const answers = await Promise.all(both);
    const made = answers.filter(({ status }) => status === 201);
    expect(made.length).toBe(1);
    expect((await clone()).body).toEqual(made[0]?.body);
    expect(await names()).toEqual(["base", "copy"]);
  });

  test("respond-async: one job, also when it is asked for at the same time", async () => {
    const prefer = keyed("k4", { Prefer: "respond-async" });
    const answers = await Promise.all([1, 2, 3].map(() => create("v4.qcow2", prefer)));
    const locations = answers.flatMap(({ headers }) => headers.get("location") ?? []);
    expect(new Set(locations).size).toBe(1);
    for (const { status, body } of answers)
      expect(status === 202 || body.code === "idempotency_conflict").toBe(true);
    const { body } = await host.post("/jobs/query", { function: ["/libvirt/volume/create"] });
    expect(body.total).toBe(1);
    const again = await create("v4.qcow2", prefer);
    expect([again.status, again.headers.get("location")]).toEqual([202, locations[0]]);
    const id = `${locations[0]}`.split("/").at(-1) ?? "";
    expect((await host.ended(id)).result.data.name).toBe("v4.qcow2");
  });

  test("of a submission: the same job; for another one a 422", async () => {
    const one = {
      function: "/libvirt/domain/start",
      input: { name: "none" },
      idempotency_key: "k5",
    };
    const first = await submit(one);
    const again = await submit(one);
    expect([again.status, again.body.job_ids]).toEqual([202, first.body.job_ids]);
    const other = await submit({ ...one, input: { name: "other" } });
    expectError(other, 422, "idempotency_mismatch", /idempotency_key/);
  });
});

describe("whose it is", () => {
  const job = { function: "/libvirt/domain/start", input: { name: "none" } };
  let host: JobHost;
  let access: Guarded;
  const tokens: Record<string, string> = {};
  const as = (name: string) => ({
    headers: { "Content-Type": "application/json", ...bearing(tokens[name] ?? "").headers },
  });
  const submit = (body: object, name: string) => host.post("/jobs/submit", body, as(name));
  beforeAll(async () => {
    access = guarded();
    tokens.root = await access.token("root", { role: "admin" });
    tokens.eve = await access.token("eve", { role: "admin" });
    for (const name of ["ann", "bob"])
      tokens[name] = await access.token(name, { role: "admin", domains: ["*"] });
    const toml = `access.tokens = "${access.tokens}"\n`;
    host = await startHost({ state: `${STATE}-access`, toml, token: tokens.root });
  });
  afterAll(() => access.remove());

  test("a token limited to domains sees and cancels its own jobs alone", async () => {
    const later = { ...job, run_at: new Date(Date.now() + 3_600_000).toISOString() };
    const [ann] = (await submit(later, "ann")).body.job_ids;
    const [bob] = (await submit(later, "bob")).body.job_ids;
    expect((await host.get(`/jobs/${ann}`, as("ann"))).status).toBe(200);
    for (const path of [
      `/jobs/${ann}`,
      `/jobs/progress/${ann}`,
      `/jobs/logs/${ann}`,
      `/jobs/eta/${ann}`,
    ])
      expectError(await host.get(path, as("bob")), 404, "not_found", /no job/);
    expectError(await host.get(`/jobs/${randomUUID()}`, as("bob")), 404, "not_found", /no job/);
    const { body } = await host.get("/jobs/query", as("bob"));
    expect(body.jobs.map(({ id }: { id: string }) => id)).toEqual([bob]);
    expect(body.total).toBe(1);
    const cancelled = await host.post("/jobs/cancel", { job_ids: [ann, bob] }, as("bob"));
    expect([cancelled.body.cancelled, cancelled.body.failed]).toEqual([[bob], [ann]]);
    expect(cancelled.body.errors[ann].code).toBe("not_found");
    expect((await host.job(ann)).state).toBe("queued");
    const root = await host.post("/jobs/cancel", { job_ids: [ann] }, as("root"));
    expect(root.body.cancelled).toEqual([ann]);
  });

  test("a token that was revoked by the time of its job: it does not begin", async () => {
    await machine("one");
    const run_at = new Date(Date.now() + slow(4000)).toISOString();
    const call = { function: "/libvirt/domain/start", input: { name: "one" }, run_at };
    const answer = await submit(call, "eve");
    await revokeToken("eve", access.tokens);
    const { state, error } = await host.ended(answer.body.job_ids[0]);
    expect([state, error.code]).toEqual(["failed", "forbidden"]);
    expect(error.error).toMatch(/revoked/);
  });
});

describe("without a database", () => {
  const away = async (toml: string) => {
    const other = await startHost({ state: `/run/jobs-away-${randomUUID()}`, toml });
    const call = { function: "/libvirt/domain/start", input: { name: "none" } };
    expectError(await other.post("/jobs/submit", call), 503, "function_unavailable", /database/);
    expectError(await other.get("/jobs/query"), 503, "function_unavailable", /database/);
    const create = { pool: "default", name: "v.qcow2", capacity: "1MiB" };
    const asked = (more: Record<string, string>) =>
      other.post("/libvirt/volume/create", create, keyed("k", more));
    expectError(await asked({}), 503, "function_unavailable", /database/);
    expectError(await asked({ Prefer: "respond-async" }), 503, "function_unavailable", /database/);
    expectSuccess(await other.get("/libvirt/domains"));
    expectSuccess(await other.post("/libvirt/volume/create", create), 201);
  };
  test("PostgreSQL is not installed", () => away('[database]\nbinaries = "/nowhere"\n'));
  test("nothing listens where it is said to be", async () =>
    away(`[database]\nurl = "postgres://x@127.0.0.1:${await freePort()}/x"\n`));
});
