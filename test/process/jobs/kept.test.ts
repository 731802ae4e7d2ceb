/** A job that waits for the guest of what it has made has given that out: however the job ends, it stays. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Attempt } from "../../../runtime/jobs/attempt.ts";
import { cancelJob } from "../../../runtime/jobs/cancel.ts";
import type { Answer } from "../../../runtime/jobs/job.ts";
import { Worker } from "../../../runtime/jobs/worker.ts";
import { query } from "../../../runtime/store/database.ts";
import { ownJobs } from "../../fixtures/job-database.ts";
import { ended, runner, submit } from "../../fixtures/jobs.ts";

ownJobs();

const aborted = { status: 504, body: { code: "cancelled", error: "aborted", uuid: "u" } };

/** A worker whose job makes a domain and begins another one, and waits until `wait` has an answer. */
async function atWork(wait: (attempt: Attempt) => Promise<Answer>) {
  const removed: string[] = [];
  const begun = Promise.withResolvers<void>();
  const work = {
    ...runner(async (attempt) => {
      const { openJournal, keep } = attempt.scope;
      const [whole, half] = [openJournal("local", "domain a"), openJournal("local", "domain b")];
      await whole.save([{ kind: "domain", name: "a" }]);
      await whole.complete();
      await half.save([{ kind: "domain", name: "b" }]);
      await keep();
      begun.resolve();
      return wait(attempt);
    }),
    remove: async (_: unknown, made: { operation: string; resources: object[] }[]) => {
      removed.push(
        ...made.filter(({ resources }) => resources.length > 0).map((one) => one.operation),
      );
      return [];
    },
  };
  const worker = new Worker(work);
  await worker.start();
  const job = await submit();
  await begun.promise;
  return { worker, work, job, removed };
}

const untilStopped = ({ signal }: Attempt) =>
  new Promise<Answer>((resolve) => signal.addEventListener("abort", () => resolve(aborted)));

test("its hypervisor is lost: the job ends, and is not done again", async () => {
  const lost = { status: 503, body: { code: "unreachable", error: "away" } };
  const { worker, job, removed } = await atWork(async () => lost);
  const now = await ended(job);
  await worker.stop(0);
  expect([now.state, now.attempt, now.answer, removed]).toEqual(["failed", 1, lost, ["domain b"]]);
});

test("its worker ends: the job ends with it, and says what stays", async () => {
  const { worker, job, removed } = await atWork(untilStopped);
  await worker.stop(0);
  const { state, answer } = await ended(job);
  expect([state, removed]).toEqual(["failed", ["domain b"]]);
  expect(answer?.body).toMatchObject({ code: "outcome_unknown", uuid: "u", kept: ["domain a"] });
});

test("its worker dies: another one removes what was not complete, and ends the job", async () => {
  const { worker, work, job, removed } = await atWork(() => new Promise(() => {}));
  const silent = "UPDATE job SET worker = 'dead', heartbeat_at = now() - interval '1 minute'";
  await query(silent);
  const other = new Worker(work);
  await other.start();
  const { state, answer } = await ended(job);
  expect([state, removed]).toEqual(["failed", ["domain b"]]);
  expect(answer?.body).toMatchObject({
    code: "outcome_unknown",
    error: expect.stringContaining("what it had made before it waited stays: domain a"),
    kept: ["domain a"],
  });
  await Promise.all([worker.stop(0), other.stop(0)]);
});

test("it is cancelled: what it waits for stays, and its own words say so", async () => {
  const { worker, job, removed } = await atWork(untilStopped);
  await cancelJob(job, "me", aborted);
  const { state, answer } = await ended(job);
  await sleep(0);
  expect([state, answer, removed]).toEqual(["cancelled", aborted, ["domain b"]]);
  await worker.stop(0);
});
