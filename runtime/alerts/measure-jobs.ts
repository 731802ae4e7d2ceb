/** Jobs that failed, and schedules that made no job at their time. */
import { aliasOf } from "../jobs/host-key.ts";
import { query } from "../store/database.ts";
import type { Reading } from "./reading.ts";
import type { FailedJobs, Rule } from "./rule.ts";

const FAILED = `SELECT count(*)::int FROM job
  WHERE state = 'failed' AND ended_at > now() - make_interval(secs => $1) AND ($2::text[] = '{}' OR split_part(host, '/', 1) = ANY ($2))`;

export async function failedJobs({ threshold, hosts }: Rule): Promise<Reading[]> {
  const { period } = threshold as FailedJobs;
  const { rows } = await query<{ count: number }>(FAILED, [period, hosts]);
  const value = rows[0]?.count ?? 0;
  return [{ host: "", object: "jobs", value, detail: `${value} failed in ${period} s` }];
}

/** A worker has a minute to make up for a time. */
const SCHEDULES = `SELECT name, template ->> 'host' AS host, last_result, last_reason,
    next_at < now() - interval '1 minute' AS late FROM schedule`;

interface Row {
  name: string;
  host: string;
  last_result: string | null;
  last_reason: string | null;
  late: boolean | null;
}

export async function missedSchedules(): Promise<Reading[]> {
  const { rows } = await query<Row>(SCHEDULES);
  return rows.map(({ name, host, last_result, last_reason, late }) => {
    const isMissed = last_result === "missed" || last_result === "refused";
    const why = late ? "no worker makes its job" : `${last_reason}`;
    const value = Number(late || isMissed);
    return {
      host: aliasOf(host),
      object: name,
      value,
      detail: value ? `missed its time: ${why}` : "",
    };
  });
}
