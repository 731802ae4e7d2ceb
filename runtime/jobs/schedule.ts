/** Schedules: their rows in the database, and what is done with them by name. */
import type { Caller } from "../access/caller.ts";
import { HyperError } from "../core/errors.ts";
import { observer } from "../events/bus.ts";
import { query } from "../store/database.ts";
import { type Times, timesAfter } from "./cron.ts";
import { hostKey } from "./host-key.ts";
import type { State } from "./job.ts";
import type { Owner } from "./query.ts";

/** The call that each time makes a job of, as it was given. */
export interface Template {
  function: string;
  input: object;
  /** Alias of the hypervisor; in the database its key (host-key.ts). */
  host: string;
  priority: number;
}

export interface NewSchedule extends Times {
  name: string;
  template: Template;
  /** Who has made it, whose rights its jobs have. */
  submitter: Caller;
  /** What becomes of a time at which a job of the schedule is still queued or at work. */
  overlap: "skip" | "queue";
  /** Whether a time that was missed because no worker ran is made up for, once. */
  catch_up: boolean;
}

/** A schedule as the database has it. */
export interface Schedule extends NewSchedule {
  created_at: string;
  /** Null while it is disabled. */
  next_at: string | null;
  disabled_because: string | null;
  /** The jobs that it has made. */
  runs: number;
  last_run: string | null;
  last_job: string | null;
  /** What became of the latest time, where it made no job. */
  last_result: "skipped" | "missed" | "refused" | null;
  last_reason: string | null;
  /** The state of the last job. */
  job_state: State | null;
}

const READ = `SELECT row_to_json(one) AS schedule, job.state AS job_state
  FROM schedule AS one LEFT JOIN job ON job.id = one.last_job
  WHERE ($1::jsonb IS NULL OR one.submitter @> $1) AND ($2::text IS NULL OR one.name = $2)
  ORDER BY one.name`;

/** In the order of their names. */
export async function listSchedules(owner?: Owner, name?: string): Promise<Schedule[]> {
  const whose = owner && JSON.stringify(owner);
  const { rows } = await query<{ schedule: Schedule; job_state: State | null }>(READ, [
    whose,
    name,
  ]);
  return rows.map(({ schedule, job_state }) => ({ ...schedule, job_state }));
}

/** Throws `not_found`, also for a schedule that the owner may not see. */
export async function readSchedule(name: string, owner: Owner | undefined): Promise<Schedule> {
  const [schedule] = await listSchedules(owner, name);
  if (schedule) return schedule;
  throw new HyperError("not_found", `name: no schedule ${JSON.stringify(name)}`);
}

const INSERT = `INSERT INTO schedule (name, cron_expr, timezone, template, submitter, overlap, catch_up, next_at, disabled_because)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING name`;

/** The expression and the template are checked. Throws `already_exists`. */
export async function createSchedule(wanted: NewSchedule, disabledBecause: string | null) {
  const { name, cron_expr, timezone, submitter, overlap, catch_up } = wanted;
  const template = { ...wanted.template, host: hostKey(wanted.template.host) };
  const next = disabledBecause === null ? await nextTime(wanted) : null;
  const json = [JSON.stringify(template), JSON.stringify(submitter)];
  const values = [name, cron_expr, timezone, ...json, overlap, catch_up, next, disabledBecause];
  if ((await query(INSERT, values)).rows.length === 0) {
    throw new HyperError("already_exists", `name: there is a schedule ${JSON.stringify(name)}`);
  }
  observer.submitted?.(); // the worker looks after it
}

/** Of the database's clock, by which workers go. */
async function nextTime(times: Times): Promise<Date | undefined> {
  const { rows } = await query<{ now: Date }>("SELECT now()");
  const [next] = await timesAfter(times, rows[0]?.now ?? new Date(), 1);
  return next;
}

/** Its jobs stay. */
export async function deleteSchedule({ name }: Schedule) {
  await query("DELETE FROM schedule WHERE name = $1", [name]);
}

/** A schedule that is enabled already keeps its next time, be it missed. */
export async function enableSchedule(schedule: Schedule) {
  const enable = `UPDATE schedule SET next_at = $2, disabled_because = NULL WHERE name = $1 AND next_at IS NULL`;
  await query(enable, [schedule.name, await nextTime(schedule)]);
  observer.submitted?.();
}

export async function disableSchedule({ name }: Schedule, because: string) {
  const disable = `UPDATE schedule SET next_at = NULL, disabled_because = $2 WHERE name = $1 AND next_at IS NOT NULL`;
  await query(disable, [name, because]);
}
