/** Which jobs a worker takes over from another one, or from itself, and which it leaves alone. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { type Caller, everything, PROCESS } from "../../../runtime/access/caller.ts";
import { settings } from "../../../runtime/core/settings.ts";
import { listen } from "../../../runtime/events/hub.ts";
import { viewFor } from "../../../runtime/function/event-access.ts";
import { stopBoss } from "../../../runtime/jobs/boss.ts";
import { SILENCE_SECONDS } from "../../../runtime/jobs/claim.ts";
import { JobSource } from "../../../runtime/jobs/events.ts";
import { createSchedule } from "../../../runtime/jobs/schedule.ts";
import { Worker } from "../../../runtime/jobs/worker.ts";
import { query } from "../../../runtime/store/database.ts";
import { ownJobs } from "../../fixtures/job-database.ts";
import { ended, read, runner, submit } from "../../fixtures/jobs.ts";
import { slow } from "../../fixtures/slowness.ts";

ownJobs();

const CANCELLED = { status: 504, body: { code: "cancelled", error: "aborted" } };
const DONE = { status: 200, body: {} };

test("a worker that is told to end keeps its job while it has time for it, and others leave it alone", {
  timeout: slow(60_000),
}, async () => {
  let begun = 0;
  const work = runner(async () => {
    begun++;
    await sleep((SILENCE_SECONDS + 6) * 1000);
    return DONE;
  });
  const [first, second] = [new Worker(work), new Worker(work)];
  await first.start();
  const job = await submit();
  while ((await read(job)).state !== "running") await sleep(20);
  await second.start();
  await first.stop((SILENCE_SECONDS + 10) * 1000);
  const now = await ended(job);
  await second.stop(0);
  expect([now.state, now.attempt, now.worker, begun]).toEqual(["completed", 1, first.name, 1]);
});

test("a job whose claim was lost with the connection is begun by the same worker", async () => {
  const worker = new Worker(runner(async () => DONE));
  const job = await submit();
  const claimed = `UPDATE job SET state = 'running', worker = $1, attempt = 1, started_at = now(),
    heartbeat_at = now() - interval '1 minute'`;
  await query(claimed, [worker.name]);
  await worker.start();
  const now = await ended(job);
  await worker.stop(0);
  expect([now.state, now.attempt, now.deaths]).toEqual(["completed", 2, 1]);
});

test("hypervisors that are away keep the jobs of another one waiting for no longer than a moment", async () => {
  const away = ["away1", "away2", "away3"];
  const silent = new Promise<boolean>(() => {}); // it takes as long as the test
  const work = {
    ...runner(async () => DONE),
    reaches: (host: string) => (host === "local" ? Promise.resolve(true) : silent),
  };
  for (const host of away) await submit({ host });
  const worker = new Worker(work);
  await worker.start();
  await sleep(2500); // it has found them
  const done = await ended(await submit());
  await worker.stop(0);
  expect(done.state).toBe("completed");
  const rows = (await query("SELECT state FROM job WHERE host <> 'local'")).rows;
  expect(rows).toEqual(away.map(() => ({ state: "queued" })));
});

test("schedules are looked at while old jobs are removed, however long that takes", async () => {
  await query(
    `CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(20); RETURN OLD; END'`,
  );
  await query("CREATE TRIGGER hold BEFORE DELETE ON job FOR EACH ROW EXECUTE FUNCTION hold()");
  await submit();
  await query("UPDATE job SET state = 'completed', ended_at = now() - interval '1 year'");
  const times = {
    cron_expr: "0 0 1 1 *",
    timezone: "UTC",
    overlap: "queue",
    catch_up: true,
  } as const;
  const template = { function: "/x", input: {}, host: "local", priority: 0 };
  const worker = new Worker(runner(async () => DONE));
  await worker.start();
  await sleep(1500); // it removes
  await createSchedule({ name: "one", ...times, template, submitter: PROCESS }, null);
  await query("UPDATE schedule SET next_at = now()");
  const runs = async () => (await query("SELECT runs FROM schedule")).rows[0]?.runs;
  const began = performance.now();
  while ((await runs()) === 0 && performance.now() - began < 10_000) await sleep(100);
  expect(await runs()).toBe(1);
  await worker.stop(0);
  await query("DROP FUNCTION hold CASCADE");
  await query("TRUNCATE schedule");
});

test("a job that is claimed at the moment at which its worker ends is given back, and was not begun", async () => {
  let begun = 0;
  const work = {
    ...runner(async () => {
      begun++;
      return DONE;
    }),
    isRepeatable: async () => false,
  };
  await query(`CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN IF NEW.state = ''running'' THEN PERFORM pg_sleep(1); END IF; RETURN NEW; END'`);
  await query("CREATE TRIGGER hold BEFORE UPDATE ON job FOR EACH ROW EXECUTE FUNCTION hold()");
  const worker = new Worker(work);
  await worker.start();
  const job = await submit();
  await sleep(500); // it is being claimed
  await worker.stop(5000);
  await query("DROP FUNCTION hold CASCADE");
  const now = await read(job);
  expect([now.state, now.attempt, begun]).toEqual(["queued", 1, 0]);
});

test("an event of jobs that nobody can read ends no process, and the next one is heard", async () => {
  const source = new JobSource();
  const listener = listen({ kinds: ["job"] });
  await source.settled;
  await query("SELECT pg_notify('hypersdk_job_events', 'junk')");
  const ci = (fingerprint: string): Caller => ({
    ...{ ...everything("token", "ci"), role: "operate", fingerprint },
  });
  const job = await submit({ submitter: ci("a") });
  for (let heard = false; !heard; ) {
    const { value } = await listener.next();
    if (value?.kind !== "job") continue;
    heard = true;
    expect(value.object).toBe(job.id);
    expect(viewFor(ci("a"))(value)).toBe(value);
    expect(viewFor(ci("b"))(value)).toBeUndefined(); // another token of the same name
  }
  await listener.return();
  source.close();
});

test("jobs of many hypervisors that were taken over are all given back at the end", async () => {
  const work = runner(
    ({ signal }) =>
      new Promise((resolve) => signal.addEventListener("abort", () => resolve(CANCELLED))),
  );
  const hosts = ["a", "b", "c", "d", "e", "f", "g", "h"];
  for (const host of hosts) await submit({ host });
  await stopBoss(); // the queues are not known to this process any more
  await query(
    "UPDATE job SET state = 'running', attempt = 1, worker = 'dead', heartbeat_at = now() - interval '1 minute'",
  );
  const worker = new Worker(work);
  await worker.start();
  const states = async () => (await query("SELECT state, attempt FROM job")).rows;
  while ((await states()).some(({ attempt }) => attempt === 1)) await sleep(50);
  await worker.stop(0);
  expect(await states()).toEqual(hosts.map(() => ({ state: "queued", attempt: 2 })));
});

test("each hypervisor has its turn, however many jobs wait for the others", async () => {
  const { jobs } = settings();
  const before = { ...jobs };
  Object.assign(jobs, { concurrency: 2, per_host: 2 });
  const work = runner(async () => {
    await sleep(100);
    return DONE;
  });
  const many = Array.from({ length: 30 }, (_, i) => ({ host: i % 2 === 0 ? "a" : "b" }));
  for (const given of many) await submit(given);
  const one = await submit({ host: "c" });
  const worker = new Worker(work);
  await worker.start();
  await ended(one);
  const waiting = (await query("SELECT FROM job WHERE state = 'queued'")).rows.length;
  await worker.stop(1000);
  Object.assign(jobs, before);
  expect(waiting).toBeGreaterThan(15);
});

test("a job whose time comes while the worker has much to do elsewhere does not wait for the end of that", async () => {
  const { jobs } = settings();
  const before = { ...jobs };
  Object.assign(jobs, { concurrency: 2, per_host: 1 });
  const work = runner(async () => {
    await sleep(100);
    return DONE;
  });
  for (let i = 0; i < 120; i++) await submit({ host: "a" });
  const one = await submit({ host: "b", runAt: new Date(Date.now() + 4000) });
  const worker = new Worker(work);
  await worker.start();
  await ended(one);
  const waiting = (await query("SELECT FROM job WHERE state = 'queued'")).rows.length;
  await worker.stop(1000);
  Object.assign(jobs, before);
  expect(waiting).toBeGreaterThan(5);
});
