/** Two machines on one database, each with a hypervisor `local` of its own. This process is now one, now the other. */
import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import trigger from "../../../functions/schedules/trigger.ts";
import { PROCESS } from "../../../runtime/access/caller.ts";
import { settings } from "../../../runtime/core/settings.ts";
import { createRunner } from "../../../runtime/function/job-runner.ts";
import { prepareJob } from "../../../runtime/function/prepare-job.ts";
import { boss, stopBoss } from "../../../runtime/jobs/boss.ts";
import { runDueSchedules } from "../../../runtime/jobs/occur.ts";
import { queryJobs } from "../../../runtime/jobs/query.ts";
import { createSchedule, readSchedule } from "../../../runtime/jobs/schedule.ts";
import { viewSchedule } from "../../../runtime/jobs/schedule-view.ts";
import { submitJobs } from "../../../runtime/jobs/submit.ts";
import { viewJob } from "../../../runtime/jobs/view.ts";
import { waitingFor } from "../../../runtime/jobs/waiting.ts";
import { Worker } from "../../../runtime/jobs/worker.ts";
import { query } from "../../../runtime/store/database.ts";
import { runningEmbedded } from "../../../runtime/store/embedded.ts";
import { closeDatabase } from "../../../runtime/store/state.ts";
import { ended, read } from "../../fixtures/jobs.ts";
import { slow } from "../../fixtures/slowness.ts";
import { folderOf, me } from "../../fixtures/store.ts";

const state = folderOf(me());
Object.assign(process.env, { XDG_STATE_HOME: state, LIBVIRT_DEFAULT_URI: "test:///default" });
const workers: Worker[] = [];
const be = (machine: string) => Object.assign(settings().jobs, { machine });

beforeAll(async () => {
  await boss();
  const socket = encodeURIComponent(runningEmbedded() ?? "");
  Object.assign(settings().database, { url: `postgres://hypersdk@${socket}/postgres` }); // as a server's
}, slow(120_000));
beforeEach(() => query("TRUNCATE schedule, job CASCADE"));
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.stop(0);
});
afterAll(async () => {
  await stopBoss();
  await closeDatabase();
  rmSync(state, { recursive: true });
});

const call = { function: "/libvirt/domain/pause", input: { name: "test" }, host: "local" };
const startWorker = async () => {
  const worker = new Worker(createRunner());
  workers.push(worker);
  await worker.start();
};

test("a job for one machine's hypervisor waits for a worker there, and no other machine runs it", async () => {
  be("one");
  const [job] = await submitJobs([await prepareJob({ caller: PROCESS }, call)]);
  if (!job) throw new Error("not stored");
  be("two");
  await startWorker();
  const [own] = await submitJobs([await prepareJob({ caller: PROCESS }, call)]);
  if (!own) throw new Error("not stored");
  expect(viewJob(await ended(own))).toMatchObject({ state: "completed", host: "local" });
  await sleep(3000); // it has looked for work again
  const waits = await read(job);
  expect([waits.state, waits.attempt]).toEqual(["queued", 0]);
  expect(await waitingFor(waits)).toBe(
    "a worker of another machine, which it is for, with hypervisor local",
  );
  const page = await queryJobs({ hosts: ["local"] }, undefined, { limit: 10 });
  expect(page.jobs.map(({ id }) => id)).toEqual([own.id, job.id]);
  be("one");
  expect((await ended(job)).attempt).toBe(1);
});

test("a schedule for one machine's hypervisor makes its jobs there alone", async () => {
  be("one");
  const times = {
    cron_expr: "0 0 1 1 *",
    timezone: "UTC",
    overlap: "queue",
    catch_up: true,
  } as const;
  const template = { ...call, priority: 0 };
  await createSchedule({ name: "one", ...times, template, submitter: PROCESS }, null);
  await query("UPDATE schedule SET next_at = now()");
  const made = async () => (await query("SELECT host FROM job")).rows.map(({ host }) => host);
  be("two");
  await runDueSchedules(createRunner());
  expect(await made()).toEqual([]);
  await expect(trigger({ name: "one" })).rejects.toMatchObject({
    code: "invalid_input",
    message: expect.stringMatching(/^name: .* of another machine; trigger it there$/),
  });
  be("one");
  await runDueSchedules(createRunner());
  expect(await made()).toEqual(["local/one"]);
  const view = await viewSchedule(await readSchedule("one", undefined));
  expect(view).toMatchObject({ enabled: true, runs: 1, job_template: { host: "local" } });
  await trigger({ name: "one" });
  expect(await made()).toEqual(["local/one", "local/one"]);
});
