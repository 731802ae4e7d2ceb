/** Looking at jobs: one, or many by filters, a page at a time. */
import { HyperError } from "../core/errors.ts";
import { query } from "../store/database.ts";
import type { Job, State } from "./job.ts";

/** The fields that filter; each may be left out. */
export interface JobFilter {
  ids?: string[] | undefined;
  states?: State[] | undefined;
  functions?: string[] | undefined;
  hosts?: string[] | undefined;
  /** A name that the job's input has. */
  domain?: string | undefined;
  /** The name of the submitter. */
  who?: string | undefined;
  schedule?: string | undefined;
  since?: string | undefined;
  until?: string | undefined;
}

/** Whose jobs may be seen: undefined for everybody's. */
export interface Owner {
  kind: string;
  name: string;
}

const CONDITIONS: Record<keyof JobFilter | "owner" | "before", (place: string) => string> = {
  ids: (at) => `id = ANY (${at}::uuid[])`,
  states: (at) => `state = ANY (${at})`,
  functions: (at) => `function = ANY (${at})`,
  hosts: (at) => `host = ANY (${at})`,
  domain: (at) => `${at} = ANY (domains)`,
  who: (at) => `submitter ->> 'name' = ${at}`,
  schedule: (at) => `schedule = ${at}`,
  since: (at) => `created_at >= ${at}`,
  until: (at) => `created_at < ${at}`,
  owner: (at) => `submitter @> ${at}`,
  before: (at) => `seq < ${at}`,
};

export interface Page {
  jobs: Job[];
  /** All that the filter finds. */
  total: number;
  /** For the next page; null on the last one. */
  cursor: string | null;
}

/** The newest first. Throws `invalid_input` for a cursor that is none of ours. */
export async function queryJobs(
  filter: JobFilter,
  owner: Owner | undefined,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): Promise<Page> {
  if (cursor !== undefined && !/^\d{1,18}$/.test(cursor)) {
    throw new HyperError("invalid_input", "cursor: must be the cursor of an earlier answer");
  }
  const all = where({ ...filter, owner: owner && JSON.stringify(owner) });
  const page = where({ ...filter, owner: owner && JSON.stringify(owner), before: cursor });
  const read = `SELECT row_to_json(job) AS job FROM job ${page.text} ORDER BY seq DESC LIMIT ${limit + 1}`;
  const [rows, count] = await Promise.all([
    query<{ job: Job }>(read, page.values),
    query<{ total: number }>(`SELECT count(*)::int AS total FROM job ${all.text}`, all.values),
  ]);
  const jobs = rows.rows.slice(0, limit).map(({ job }) => job);
  const more = rows.rows.length > limit;
  return { jobs, total: count.rows[0]?.total ?? 0, cursor: more ? `${jobs.at(-1)?.seq}` : null };
}

function where(given: Partial<Record<keyof typeof CONDITIONS, unknown>>) {
  const used = Object.entries(given).filter(([, value]) => value !== undefined);
  const texts = used.map(([key], i) => CONDITIONS[key as keyof typeof CONDITIONS](`$${i + 1}`));
  const text = texts.length > 0 ? `WHERE ${texts.join(" AND ")}` : "";
  return { text, values: used.map(([, value]) => value) };
}

/** Throws `not_found`, also for a job that the owner may not see. */
export async function readJob(id: string, owner: Owner | undefined): Promise<Job> {
  const { text, values } = where({ ids: [id], owner: owner && JSON.stringify(owner) });
  const read = `SELECT row_to_json(job) AS job FROM job ${text}`;
  const [row] = (await query<{ job: Job }>(read, values)).rows;
  if (row) return row.job;
  throw new HyperError("not_found", `id: no job ${id}`);
}

export interface LogLine {
  line: string;
  time: string;
  attempt: number;
  level: string;
  message: string;
  fields: object | null;
}

/** The lines of a job's log after a line, at most `limit`. */
export async function readLog(id: string, after: string, limit: number): Promise<LogLine[]> {
  const read = `SELECT line::text, to_jsonb(time) #>> '{}' AS time, attempt, level, message, fields FROM job_log
    WHERE job = $1 AND line > $2 ORDER BY line LIMIT $3`;
  return (await query<LogLine>(read, [id, after, limit])).rows;
}
