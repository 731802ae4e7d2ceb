/**
 * The times of schedules become jobs. A job is stored in the transaction that moves its schedule to the next time, so
 * that each time makes one job, however many workers see it and wherever one of them ends.
 */

import pLimit from "p-limit";
import type { PoolClient } from "pg";
import { HyperError } from "../core/errors.ts";
import { log } from "../core/log.ts";
import { settings } from "../core/settings.ts";
import { observer } from "../events/bus.ts";
import { query, transaction } from "../store/database.ts";
import { queueOf } from "./boss.ts";
import { latestTime, timesAfter } from "./cron.ts";
import { hostKey } from "./host-key.ts";
import type { Job, NewJob } from "./job.ts";
import type { Runner } from "./runner.ts";
import type { Schedule } from "./schedule.ts";
import { storeJobs } from "./submit.ts";

/** A time that is longer ago was missed: a worker that is restarted is back by then. */
const GRACE_MS = 60_000;

/** One that has to ask a hypervisor that does not answer keeps few others waiting. */
const AT_ONCE = 10;

/** Another worker may know hypervisors that this one does not. */
const DUE = `SELECT row_to_json(schedule) AS schedule, now() FROM schedule
  WHERE next_at <= now() AND template ->> 'host' = ANY ($1) ORDER BY next_at LIMIT 1000`;

type Hooks = Pick<Runner, "prepare" | "submitted">;

/** One look at the schedules whose time has come. */
export async function runDueSchedules(runner: Hooks) {
  const { rows } = await query<{ schedule: Schedule; now: Date }>(DUE, [
    Object.keys(settings().hosts).map(hostKey),
  ]);
  await pLimit(AT_ONCE).map(rows, async ({ schedule, now }) => {
    try {
      await occur(schedule, now, runner);
    } catch (error) {
      log.warn({ error }, `schedule ${schedule.name} has to wait`); // it is still due
    }
  });
}

async function occur(schedule: Schedule, now: Date, runner: Hooks) {
  const time = await latestTime(schedule, new Date(schedule.next_at ?? now), now);
  const [next] = await timesAfter(schedule, now, 1);
  const wasMissed = now.getTime() - time.getTime() > GRACE_MS;
  if (wasMissed && !schedule.catch_up) {
    return advance(schedule, next, { result: "missed", reason: `no worker ran at ${iso(time)}` });
  }
  const wanted = await prepared(schedule, runner);
  if (wanted instanceof HyperError) {
    return advance(schedule, null, { result: "refused", reason: wanted.message });
  }
  const made = await transaction(async (client) => {
    if (!(await moved(client, schedule, next))) return undefined; // another worker was first
    const busy = schedule.overlap === "skip" && (await unfinished(client, schedule));
    if (!busy) return { job: await store(client, schedule, wanted) };
    await note(client, schedule, { result: "skipped", reason: `job ${busy} had not ended` });
    return undefined;
  });
  if (made) runner.submitted(made.job);
}

const iso = (time: Date) => time.toISOString();

/** The error where the schedule can make no job any more; others are thrown, and it is tried again. */
async function prepared(schedule: Schedule, runner: Hooks): Promise<NewJob | HyperError> {
  try {
    const wanted = await runner.prepare(schedule);
    await queueOf(wanted.host);
    return wanted;
  } catch (error) {
    const isFinal =
      error instanceof HyperError && ["forbidden", "invalid_input"].includes(error.code);
    if (isFinal) return error;
    throw error;
  }
}

interface Outcome {
  result: "skipped" | "missed" | "refused";
  reason: string;
}

/** Without a job. Without a next time the schedule is disabled. */
async function advance(schedule: Schedule, next: Date | null | undefined, outcome: Outcome) {
  log.warn(
    { schedule: schedule.name },
    `schedule ${schedule.name}: ${outcome.result}: ${outcome.reason}`,
  );
  await transaction(async (client) => {
    if (await moved(client, schedule, next)) await note(client, schedule, outcome);
  });
}

/** False where another worker has moved it. The others wait here, until the transaction ends. */
async function moved(
  client: PoolClient,
  { name, next_at }: Schedule,
  next: Date | null | undefined,
) {
  const move = "UPDATE schedule SET next_at = $3 WHERE name = $1 AND next_at = $2 RETURNING name";
  return (await client.query(move, [name, next_at, next])).rows.length > 0;
}

async function note(client: PoolClient, { name }: Schedule, { result, reason }: Outcome) {
  const update = `UPDATE schedule SET last_result = $2, last_reason = $3,
    disabled_because = CASE WHEN next_at IS NULL THEN $3 END WHERE name = $1`;
  await client.query(update, [name, result, reason]);
}

async function unfinished(client: PoolClient, { name }: Schedule): Promise<string | undefined> {
  const find = `SELECT id FROM job WHERE schedule = $1 AND state IN ('queued', 'running', 'cancelling') LIMIT 1`;
  return (await client.query<{ id: string }>(find, [name])).rows[0]?.id;
}

async function store(
  client: PoolClient,
  { name, overlap }: Schedule,
  wanted: NewJob,
): Promise<Job> {
  const { exclusive, shared } = wanted.locks;
  // a lock of the schedule on this hypervisor, where those who wait for it are woken
  const own = overlap === "queue" ? [`schedule:${name}@${wanted.host}`] : [];
  const locks = { exclusive: [...exclusive, ...own], shared };
  const [job] = await storeJobs(client, [{ ...wanted, schedule: name, locks }]);
  if (!job) throw new Error("a job was not stored");
  const update = `UPDATE schedule SET runs = runs + 1, last_run = now(), last_job = $2, last_result = NULL,
    last_reason = NULL WHERE name = $1`;
  await client.query(update, [name, job.id]);
  return job;
}

/** Makes a job now, also of a schedule that is disabled. Throws `already_active` where it would overlap. */
export async function triggerSchedule(schedule: Schedule, wanted: NewJob): Promise<Job> {
  const { name } = schedule;
  await queueOf(wanted.host);
  observer.submitted?.();
  return transaction(async (client) => {
    const lock = "SELECT name FROM schedule WHERE name = $1 FOR UPDATE";
    if ((await client.query(lock, [name])).rows.length === 0) {
      throw new HyperError("not_found", `name: no schedule ${JSON.stringify(name)}`);
    }
    const busy = schedule.overlap === "skip" && (await unfinished(client, schedule));
    if (!busy) return store(client, schedule, wanted);
    const text = `job ${busy} of schedule ${JSON.stringify(name)} has not ended, and its overlap is "skip"`;
    throw new HyperError("already_active", text);
  });
}
