/** Which jobs a worker takes over from another one, or from itself, and which it leaves alone. */
import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { boss, stopBoss } from "../../../runtime/jobs/boss.ts";
import { SILENCE_SECONDS } from "../../../runtime/jobs/claim.ts";
import { Worker } from "../../../runtime/jobs/worker.ts";
import { query } from "../../../runtime/store/database.ts";
import { closeDatabase } from "../../../runtime/store/state.ts";
import { ended, read, runner, submit } from "../../fixtures/jobs.ts";
import { slow } from "../../fixtures/slowness.ts";
import { folderOf, me } from "../../fixtures/store.ts";

const state = folderOf(me());
process.env.XDG_STATE_HOME = state;

beforeAll(() => boss(), slow(120_000));
beforeEach(async () => {
  await query("TRUNCATE job CASCADE");
  await (await boss()).deleteAllJobs();
});
afterAll(async () => {
  await stopBoss();
  await closeDatabase();
  rmSync(state, { recursive: true });
});

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
