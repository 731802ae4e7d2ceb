/** Jobs on a real PostgreSQL, with what their functions would hardly do. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Attempt } from "../../../runtime/jobs/attempt.ts";
import { cancelJob } from "../../../runtime/jobs/cancel.ts";
import { claimJobs, endJobs } from "../../../runtime/jobs/claim.ts";
import { takeCopyPlace } from "../../../runtime/jobs/copies.ts";
import { openJournal, readMade } from "../../../runtime/jobs/journal.ts";
import { submitJobs } from "../../../runtime/jobs/submit.ts";
import { Worker } from "../../../runtime/jobs/worker.ts";
import { query, transaction } from "../../../runtime/store/database.ts";
import { ownJobs } from "../../fixtures/job-database.ts";
import { ended, read, runner, submit, wanted } from "../../fixtures/jobs.ts";
import { slow } from "../../fixtures/slowness.ts";

ownJobs();

const claim = (worker = "w") =>
  claimJobs("local", 5, worker, { own: () => false, mayTakeOver: true });
const CANCELLED = { status: 504, body: { error: "cancelled", code: "cancelled" } };

test("a job that is cancelled at the moment of its begin does not begin", async () => {
  const job = await submit();
  let claims: ReturnType<typeof claim> | undefined;
  const cancelling = transaction(async (client) => {
    // the rows of the job stay locked until the worker waits for them
    await client.query("SELECT FROM job WHERE id = $1 FOR UPDATE", [job.id]);
    const cancelled = cancelJob(job, "me", CANCELLED);
    await sleep(300);
    claims = claim();
    await sleep(300);
    return { cancelled };
  });
  const { cancelled } = await cancelling;
  expect((await cancelled).job.state).toBe("cancelled");
  expect((await claims)?.claims).toEqual([]);
  expect(await read(job)).toMatchObject({ state: "cancelled", attempt: 0 });
});

test("a job that never began keeps no secret of its input", async () => {
  const job = await submit();
  expect((await read(job)).input).toEqual({ password: "s3cret" });
  await cancelJob(job, "me", CANCELLED);
  expect((await read(job)).input).toEqual({ password: "[redacted]" });
});

test("an answer, a log and a progress with NUL and half a character are kept, and the job is done once", async () => {
  const odd = 'a\0b "\ud800" \\u0000 \\\0 \\\\\udfff é 😀';
  const kept = 'a\ufffdb "\ufffd" \\u0000 \\\ufffd \\\\\ufffd é 😀';
  let begun = 0;
  const worker = new Worker(
    runner(async (attempt: Attempt) => {
      begun++;
      attempt.note("info", odd, { [odd]: odd });
      attempt.report({ phase: odd });
      return { status: 200, body: { said: odd, [odd]: [1] } };
    }),
  );
  await worker.start();
  const done = await ended(await submit());
  await worker.stop(1000);
  expect(begun).toBe(1);
  expect(done).toMatchObject({ state: "completed", attempt: 1, progress: { phase: kept } });
  expect(done.answer).toEqual({ status: 200, body: { said: kept, [kept]: [1] } });
  const { rows } = await query("SELECT message, fields FROM job_log");
  expect(rows).toEqual([{ message: kept, fields: { [kept]: kept } }]);
});

test("a job that is cancelled while its worker gives it back ends as cancelled, with an answer", async () => {
  const cancel = "UPDATE job SET state = 'cancelling', cancel_requested_at = now() WHERE id = $1";
  const begun = Promise.withResolvers<void>();
  const worker = new Worker(
    runner(
      ({ signal }) =>
        new Promise((resolve) => {
          begun.resolve();
          const answer = { status: 504, body: { code: "cancelled", error: "aborted" } };
          signal.addEventListener("abort", () => resolve(answer));
        }),
      async ({ id }) => {
        await query(cancel, [id]); // its notice is lost
        return [];
      },
    ),
  );
  await worker.start();
  const job = await submit();
  await begun.promise;
  await worker.stop(0);
  const now = await read(job);
  expect(now).toMatchObject({ state: "cancelled", answer: { body: { code: "cancelled" } } });
  expect(now.ended_at).not.toBeNull();
  expect(now.input).toEqual({ password: "[redacted]" });
});

test("a journal that was removed by a write of unknown outcome is removed again without an error", async () => {
  await submit();
  const [one] = (await claim()).claims;
  if (!one) throw new Error("not claimed");
  const { id, worker, attempt } = one.claimed;
  const journal = openJournal({ id, worker, attempt, unfinished: new Set() }, "local", "a clone");
  await journal.save([{ kind: "file", path: "/a" }]);
  expect(await readMade(id)).toHaveLength(1);
  await query("DELETE FROM job_journal");
  await journal.remove();
  const other = { id, worker: "another", attempt, unfinished: new Set<string>() };
  await expect(openJournal(other, "local", "a clone").save([])).rejects.toMatchObject({
    code: "superseded",
  });
});

test("an end whose answer was lost is written again, and changes and tells nothing more", async () => {
  await submit();
  const [one] = (await claim()).claims;
  if (!one) throw new Error("not claimed");
  const insert = `INSERT INTO receiver (name, settings, enabled, types, changed_by)
    VALUES ('r', '{}', true, '{job.completed}', 'me')`;
  await query(insert);
  const { claimed: job } = one;
  const answer = { status: 200, body: {} };
  const ending = { job, attempt: job.attempt, state: "completed" as const, answer, input: {} };
  await endJobs([ending], "w");
  const first = await read(job);
  await endJobs([ending], "w");
  expect(await read(job)).toEqual(first);
  expect((await query("SELECT type FROM outbox")).rows).toEqual([{ type: "job.completed" }]);
  await query("TRUNCATE receiver CASCADE");
});

test("what a job has logged last stands with its end, once, and only if it is its end", async () => {
  await submit();
  const [one] = (await claim()).claims;
  if (!one) throw new Error("the job was not begun");
  const { claimed: job } = one;
  const line = { time: new Date().toISOString(), level: "info", message: "done", fields: null };
  const answer = { status: 200, body: {} };
  const ending = { job, attempt: 1, state: "completed" as const, answer, input: {}, lines: [line] };
  const logged = async () => (await query("SELECT attempt, message FROM job_log")).rows;
  await endJobs([ending], "another worker");
  expect(await logged()).toEqual([]);
  await endJobs([ending], "w");
  await endJobs([ending], "w"); // the answer of the first was lost
  expect(await logged()).toEqual([{ attempt: 1, message: "done" }]);
});

test("a delivery waits as long as its job does: a hypervisor may be away for months", async () => {
  await submit({ runAt: new Date(Date.now() + 400 * 24 * 60 * 60 * 1000) });
  const waits = "SELECT extract(days FROM keep_until - start_after)::int AS days FROM pgboss.job";
  const { rows } = await query<{ days: number }>(waits);
  expect(rows[0]?.days).toBeGreaterThan(3650);
});

test("batches with the same keys in another order are the same jobs, and none fails", async () => {
  const slowly = `CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END'`;
  await query(slowly);
  await query("CREATE TRIGGER slowly BEFORE INSERT ON job FOR EACH ROW EXECUTE FUNCTION slowly()");
  try {
    const keys = ["a", "b", "c", "d", "e", "f"];
    const batch = (order: string[]) => submitJobs(order.map((key) => wanted({ key })));
    const [one = [], other = []] = await Promise.all([batch(keys), batch(keys.toReversed())]);
    expect(new Set(one.map(({ id }) => id)).size).toBe(keys.length);
    expect(other.map(({ id }) => id).reverse()).toEqual(one.map(({ id }) => id));
  } finally {
    await query("DROP FUNCTION slowly CASCADE");
  }
});

test("a place for a copy whose answer was lost with the database is taken again, and by one copy only", async () => {
  await submit();
  const [one] = (await claim()).claims;
  if (!one) throw new Error("not claimed");
  const { id, attempt } = one.claimed;
  const signal = AbortSignal.timeout(slow(5000));
  const take = () => takeCopyPlace({ id, attempt }, "local", signal);
  const places = async () => (await query("SELECT place FROM job_copy ORDER BY place")).rows;
  const lost = "INSERT INTO job_copy (host, place, job, attempt) VALUES ('local', $1, $2, $3)";
  for (const place of [1, 2]) await query(lost, [place, id, attempt]); // as many as there are
  const [first, second] = await Promise.all([take(), take()]);
  let third = false;
  const waiting = take().then((giveBack) => {
    third = true;
    return giveBack;
  });
  await sleep(500);
  expect(third).toBe(false);
  await first();
  await (await waiting)();
  expect(await places()).toHaveLength(1);
  await second();
  expect(await places()).toEqual([]);
});
