/**
 * The file system of the private PostgreSQL is full: what needs the database says so before anything is begun, all
 * else works, and a job at work reports once there is space again.
 */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  openSync,
  rmSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import {
  expectNothingHeld,
  type JobHost,
  jobPrograms,
  privateRows,
  startHost,
  stopHosts,
  volumes,
} from "../../fixtures/live/jobs.ts";
import {
  at,
  image,
  machine,
  names,
  programs,
  same,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import { until } from "../../fixtures/live/virsh.ts";

const STATE = "/run/jobs-full";
const FILLER = `${STATE}/filler`;
const NO_SPACE = { code: "function_unavailable", error: expect.stringMatching(/no space is left/) };
const ENDED = /the private PostgreSQL has ended/;
const rows = (statement: string) => privateRows(STATE, statement);
let host: JobHost;

beforeAll(() => {
  mkdirSync(STATE, { recursive: true });
  execFileSync("mount", ["-t", "tmpfs", "-o", "mode=711,size=256m", "tmpfs", STATE]);
});
beforeEach(async () => {
  const wait = 'while [ -e /run/hold ]; do sleep 0.1; done; exec $REAL "$@"';
  const bin = programs("/run/bin-full", { "qemu-img": wait });
  const toml = `[audit]\nfile = "/run/full-audit.jsonl"\n`; // on a file system with space
  host = await startHost({ state: STATE, toml, env: { PATH: `${bin}:${process.env.PATH}` } });
  await machine("base", { disks: [await image("base.raw")] });
  await machine("idle");
});
afterEach(async () => {
  for (const file of ["/run/hold", FILLER]) rmSync(file, { force: true });
  await stopHosts();
  await wipe();
});
afterAll(() => {
  execFileSync("umount", [STATE]);
});

/** Takes the space that is left, to the last byte. */
function fill() {
  const [file, bytes] = [openSync(FILLER, "a"), Buffer.alloc(4096)];
  try {
    for (;;) writeSync(file, bytes);
  } catch (error) {
    expect(error).toMatchObject({ code: "ENOSPC" });
  }
  closeSync(file);
  expect(statfsSync(STATE).bavail).toBe(0);
}

const submit = (target: string) =>
  host.post("/jobs/submit", {
    function: "/libvirt/clone",
    input: { source: "base", target },
  });

/** What PostgreSQL has kept of its files for more rows: jobs of tomorrow take it, until no small one fits either. */
async function fillPages() {
  const run_at = new Date(Date.now() + 86_400_000).toISOString();
  const small = { function: "/libvirt/domain/start", input: { name: "idle" }, run_at };
  for (let [i, refused] = [0, 0]; i < 4000; i++) {
    const { status, body } = await host.post("/jobs/submit", small);
    if (status === 202) refused = 0;
    else expect([status, body]).toMatchObject([503, NO_SPACE]);
    if (status !== 202 && ++refused === 10) return;
  }
  throw new Error("no job was refused");
}

/** A clone whose copy waits until `/run/hold` is gone. */
async function begin() {
  writeFileSync("/run/hold", "");
  const id = await host.submit("/libvirt/clone", { source: "base", target: "copy" });
  await until("it copies", () => jobPrograms(id).some((line) => /convert/.test(line)), 20);
  return id;
}

const expectRefused = async () => {
  const before = [await names(), await volumes()];
  const json = { "Content-Type": "application/json" };
  const body = JSON.stringify({ name: "idle" });
  const ways: [string, string][] = [
    ["Prefer", "respond-async"],
    ["Idempotency-Key", crypto.randomUUID()],
  ];
  for (const [name, value] of ways) {
    const init = { method: "POST", headers: { ...json, [name]: value }, body };
    const answer = await host.get("/libvirt/domain/start", init);
    expect([answer.status, answer.body], name).toMatchObject([503, NO_SPACE]);
  }
  const { status, body: refusal } = await submit("now");
  expect([status, refusal]).toMatchObject([503, NO_SPACE]);
  await sleep(1000);
  expect([await names(), await volumes()]).toEqual(before);
  expect((await virsh("domstate", "idle")).trim()).toBe("shut off");
};

/** A call that needs no database. */
async function expectOthersWork() {
  expect((await host.get("/libvirt/domains")).status).toBe(200);
  expect((await host.post("/libvirt/domain/start", { name: "idle" })).status).toBe(200);
  expect((await host.post("/libvirt/domain/destroy", { name: "idle" })).status).toBe(200);
}

async function expectSpaceAgain(id: string) {
  rmSync(FILLER);
  const { state, attempts, error } = await host.ended(id, 90);
  expect([state, attempts, error]).toEqual(["completed", 1, null]);
  expect(await same(at("copy.raw"), at("base.raw"))).toBe(true);
  const { body } = await host.get(`/jobs/logs/${id}`);
  expect(JSON.stringify(body.data)).toMatch(/The domain is defined/);
  await until("a job is taken again", async () => (await submit("later")).status === 202, 30);
  await until("it is there", async () => (await names()).includes("later"), 60);
  await rows("DELETE FROM job WHERE state = 'queued' AND run_at > now()");
  await rows("DELETE FROM pgboss.job WHERE start_after > now()");
  expect(await names()).toEqual(["base", "copy", "idle", "later"]);
  await until("all has ended", async () => (await rows("SELECT FROM job_lock")).length === 0, 20);
  await expectNothingHeld(rows);
}

test("no space for another row: nothing is begun; the job at work goes on and reports afterwards", async () => {
  const id = await begin();
  fill();
  await fillPages();
  await expectRefused();
  await expectOthersWork();
  expect(host.log()).not.toMatch(ENDED);
  rmSync("/run/hold");
  await until("it has made its domain", async () => (await names()).includes("copy"), 30);
  await sleep(2000);
  await expectSpaceAgain(id);
});

test("no space for PostgreSQL's log of changes, at which it ends: the same", async () => {
  const id = await begin();
  fill();
  await rows("SELECT pg_switch_wal()").catch(() => {}); // the next change needs a new file of its log
  await until("it is away", async () => (await submit("now")).status === 503, 30);
  await expectRefused();
  await expectOthersWork();
  expect(host.log()).toMatch(ENDED);
  rmSync("/run/hold");
  await sleep(9000); // longer than a worker may be silent
  await expectSpaceAgain(id);
});

test("no space at the first start: a submit says so, and the next one after that has its database", async () => {
  await stopHosts();
  rmSync(`${STATE}/hypersdk`, { recursive: true });
  host = await startHost({ state: STATE, toml: `[audit]\nfile = "/run/full-audit.jsonl"\n` });
  fill();
  const { status, body } = await submit("now");
  expect([status, body]).toMatchObject([503, NO_SPACE]);
  await expectOthersWork();
  rmSync(FILLER);
  const id = await host.submit("/libvirt/clone", { source: "base", target: "copy" });
  expect((await host.ended(id)).state).toBe("completed");
});
