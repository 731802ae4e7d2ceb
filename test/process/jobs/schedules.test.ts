/** Schedules on a real PostgreSQL. Their clock is moved by their next time. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { PROCESS } from "../../../runtime/access/caller.ts";
import { HyperError } from "../../../runtime/core/errors.ts";
import { boss, stopBoss } from "../../../runtime/jobs/boss.ts";
import type { NewJob } from "../../../runtime/jobs/job.ts";
import { runDueSchedules, triggerSchedule } from "../../../runtime/jobs/occur.ts";
import { removeOld } from "../../../runtime/jobs/retention.ts";
import {
  createSchedule,
  disableSchedule,
  enableSchedule,
  type NewSchedule,
  readSchedule,
  type Schedule,
} from "../../../runtime/jobs/schedule.ts";
import { viewSchedule } from "../../../runtime/jobs/schedule-view.ts";
import { query } from "../../../runtime/store/database.ts";
import { closeDatabase } from "../../../runtime/store/state.ts";
import { slow } from "../../fixtures/slowness.ts";
import { folderOf, me } from "../../fixtures/store.ts";

const state = folderOf(me());
process.env.XDG_STATE_HOME = state;
const children: ChildProcess[] = [];

beforeAll(() => boss(), slow(120_000));
beforeEach(() => query("TRUNCATE schedule, job CASCADE"));
afterEach(async () => {
  for (const child of children.splice(0)) await kill(child);
});
afterAll(async () => {
  await stopBoss();
  await closeDatabase();
  rmSync(state, { recursive: true });
});

async function kill(child: ChildProcess) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "close");
}

const submitted: string[] = [];
const prepare = async ({ template, submitter }: Schedule): Promise<NewJob> => ({
  ...{ function: template.function, host: template.host, input: template.input, submitter },
  ...{ domains: [], locks: { exclusive: [], shared: [] }, priority: template.priority },
});
const runner = { prepare, submitted: ({ id }: { id: string }) => void submitted.push(id) };
const look = () => runDueSchedules(runner);

/** By its expression its time is far away, so that the test alone says when it comes. */
const create = (given: Partial<NewSchedule> = {}) =>
  createSchedule(
    {
      ...{ name: "one", cron_expr: "0 0 1 1 *", timezone: "UTC", submitter: PROCESS },
      ...{ overlap: "queue", catch_up: true, ...given },
      template: {
        function: "/libvirt/clone",
        input: { target: "b", password: "s3cret" },
        host: "local",
        priority: 3,
      },
    },
    null,
  );
/** Its next time was so many seconds ago. */
const due = (seconds = 0) =>
  query("UPDATE schedule SET next_at = now() - make_interval(secs => $1)", [seconds]);
const one = async () => viewSchedule(await readSchedule("one", undefined));
// biome-ignore lint/suspicious/noExplicitAny: a test looks at whatever the row holds
const jobs = async (): Promise<any> => (await query("SELECT * FROM job ORDER BY seq")).rows;
const scheduled = async () =>
  (await query("SELECT schedule FROM job ORDER BY seq")).rows.map(({ schedule }) => schedule);
const end = (result = "completed") =>
  query("UPDATE job SET state = $1, ended_at = now() WHERE ended_at IS NULL", [result]);

test("before its time nothing happens; at its time there is a job, and the next time is set", async () => {
  await create();
  await look();
  expect(await jobs()).toEqual([]);
  await due();
  await look();
  await look();
  const [job, ...more] = await jobs();
  expect(more).toEqual([]);
  expect(job).toMatchObject({ schedule: "one", state: "queued", priority: 3, host: "local" });
  expect(submitted).toContain(job.id);
  const view = await one();
  expect(view).toMatchObject({ runs: 1, last_job: job.id, last_result: "queued", enabled: true });
  expect(job.input).toEqual({ target: "b", password: "s3cret" });
  expect(view.job_template.input).toEqual({ target: "b", password: "[redacted]" });
  expect(view.next_runs).toHaveLength(5);
  expect(Date.parse(view.next_runs[0] as string)).toBeGreaterThan(Date.now());
  await end("failed");
  expect(await one()).toMatchObject({ last_result: "failed" });
});

test("many workers that see a time at once make one job of it", async () => {
  await create();
  for (let times = 1; times <= 5; times++) {
    await due();
    await Promise.all(Array.from({ length: 8 }, look));
    expect(await jobs()).toHaveLength(times);
  }
  expect(await one()).toMatchObject({ runs: 5 });
});

/** Each statement of a worker takes so long that a kill comes in the middle of one. */
const PAUSE_MS = 100;
const SLOWLY = [
  `CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_sleep(${PAUSE_MS / 1000}); RETURN NULL; END'`,
  "CREATE TRIGGER slowly AFTER INSERT ON job FOR EACH STATEMENT EXECUTE FUNCTION slowly()",
  "CREATE TRIGGER slowly AFTER UPDATE ON schedule FOR EACH STATEMENT EXECUTE FUNCTION slowly()",
];

test(
  "workers that are killed at any moment neither lose a time nor make two jobs of it",
  async () => {
    await create();
    for (const statement of SLOWLY) await query(statement);
    const program = join(import.meta.dirname, "../../fixtures/schedule-program.ts");
    const begin = () => {
      const child = spawn(process.execPath, [program], {
        env: { ...process.env, XDG_STATE_HOME: state },
        stdio: ["ignore", "pipe", "inherit"],
      });
      children.push(child);
      return child;
    };
    for (let times = 1; times <= 10; times++) {
      const [first, second] = [begin(), begin()];
      await Promise.all([once(first.stdout, "data"), once(second.stdout, "data")]);
      await due();
      await Bun.sleep(Math.random() * 8 * PAUSE_MS);
      await Promise.all([kill(first), kill(second)]);
      await look(); // of a worker that comes later
      expect(await jobs()).toHaveLength(times);
    }
    expect(await one()).toMatchObject({ runs: 10 });
    await query("DROP FUNCTION slowly CASCADE");
  },
  slow(180_000),
);

test("overlap skip: a time at which a job has not ended is skipped, and says so", async () => {
  await create({ overlap: "skip" });
  await due();
  await look();
  await due();
  await look();
  const [job, ...more] = await jobs();
  expect(more).toEqual([]);
  const reason = `job ${job.id} had not ended`;
  expect(await one()).toMatchObject({ runs: 1, last_result: "skipped", last_reason: reason });
  const schedule = await readSchedule("one", undefined);
  const again = triggerSchedule(schedule, await prepare(schedule));
  await expect(again).rejects.toMatchObject({ code: "already_active" });
  await end();
  await due();
  await look();
  expect(await one()).toMatchObject({ runs: 2, last_result: "queued", last_reason: null });
});

test("overlap queue: the jobs of a schedule have a lock in common", async () => {
  await create();
  await due();
  await look();
  await due();
  await look();
  const [first, second] = await jobs();
  expect(first.exclusive_locks).toEqual(["schedule:one@local"]);
  expect(second.exclusive_locks).toEqual(["schedule:one@local"]);
  const claim = "SELECT verdict FROM claim_jobs($1, 'me', 16, interval '8 seconds', true)";
  const { rows } = await query(claim, [[first.id, second.id]]);
  expect(rows.map(({ verdict }) => verdict)).toEqual(["started", "parked"]);
});

test("a time that was missed is skipped; with catch_up it is made up for once, of however many", async () => {
  await create({ catch_up: false });
  await query("UPDATE schedule SET next_at = '2020-01-01T00:00Z'");
  await look();
  expect(await jobs()).toEqual([]);
  expect(await one()).toMatchObject({ runs: 0, last_result: "missed", enabled: true });
  expect((await one()).last_reason).toMatch(/no worker ran at \d{4}-01-01T00:00:00.000Z/);
  await query("UPDATE schedule SET catch_up = true");
  await due(3 * 366 * 86_400);
  await look();
  await look();
  expect(await jobs()).toHaveLength(1);
  expect(await one()).toMatchObject({ runs: 1, last_result: "queued" });
});

test("a time within the last minute is not missed", async () => {
  await create({ cron_expr: "* * * * *", catch_up: false });
  await due(3600);
  await look();
  expect(await one()).toMatchObject({ runs: 1 });
});

test("a schedule whose job is refused stops, and says why", async () => {
  await create();
  await due();
  const why = "the token was revoked";
  const refusing = async () => Promise.reject(new HyperError("forbidden", why));
  await runDueSchedules({ ...runner, prepare: refusing });
  const stopped = { enabled: false, next_runs: [], disabled_because: why, last_result: "refused" };
  expect(await one()).toMatchObject({ ...stopped, last_reason: why });
  await enableSchedule(await readSchedule("one", undefined));
  expect(await one()).toMatchObject({ enabled: true, disabled_because: null });
});

test("a time that the parser does not find backwards, as one that a change of the clocks moves, is not missed", async () => {
  await create({ catch_up: false });
  await due(1);
  await look();
  expect(await jobs()).toHaveLength(1);
  expect(await one()).toMatchObject({ runs: 1, last_result: "queued" });
});

test("what may pass is tried again, and holds up no other schedule", async () => {
  await create();
  await create({ name: "two" });
  await due();
  const away = async (schedule: Schedule) => {
    if (schedule.name === "one") throw new HyperError("audit_failed", "no space");
    return prepare(schedule);
  };
  await runDueSchedules({ ...runner, prepare: away });
  expect(await scheduled()).toEqual(["two"]);
  await look();
  expect(await scheduled()).toEqual(["two", "one"]);
});

test("a disabled schedule makes no job until it is triggered", async () => {
  await create();
  await disableSchedule(await readSchedule("one", undefined), "disabled by me");
  await look();
  expect(await jobs()).toEqual([]);
  const schedule = await readSchedule("one", undefined);
  const { id } = await triggerSchedule(schedule, await prepare(schedule));
  expect(await one()).toMatchObject({ enabled: false, last_job: id, runs: 1 });
});

test("ended jobs go after keep_days, but for the last one of a schedule; keys after a day", async () => {
  await create();
  for (let times = 0; times < 2; times++) {
    await due();
    await look();
    await end();
  }
  const [old, last] = await jobs();
  await query("UPDATE job SET ended_at = now() - interval '31 days'");
  await query(
    "UPDATE job SET key = id::text, request = 'r', created_at = now() - interval '25 hours'",
  );
  await query(
    "INSERT INTO job_log (job, time, attempt, level, message) VALUES ($1, now(), 1, 'info', '')",
    [old.id],
  );
  await query(`INSERT INTO idempotency (who, key, request, created_at, alive_at)
    SELECT 'a', key, '', began, began FROM (VALUES ('old', now() - interval '25 hours'), ('new', now())) AS row (key, began)`);
  await removeOld();
  expect(await jobs()).toMatchObject([{ id: last.id, key: null, request: null }]);
  expect((await query("SELECT FROM job_log")).rows).toEqual([]);
  expect((await query("SELECT key FROM idempotency")).rows).toEqual([{ key: "new" }]);
});

test("a schedule whose job takes long to prepare keeps no other waiting", async () => {
  await create({ name: "slow" });
  await create({ name: "other" });
  await query("UPDATE schedule SET next_at = now() - interval '2 seconds' WHERE name = 'slow'");
  await query("UPDATE schedule SET next_at = now() WHERE name = 'other'");
  let go = () => {};
  const held = new Promise<void>((resolve) => (go = resolve));
  const patient = {
    ...runner,
    prepare: async (schedule: Schedule) => {
      if (schedule.name === "slow") await held;
      return prepare(schedule);
    },
  };
  const looked = runDueSchedules(patient);
  for (let tries = 0; tries < 40 && (await scheduled()).length === 0; tries++) await Bun.sleep(50);
  expect(await scheduled()).toEqual(["other"]);
  go();
  await looked;
  expect(await scheduled()).toEqual(["other", "slow"]);
});
