/** Looking at jobs: one, or many by filters, a page at a time. */
import type { Identity } from "../access/caller.ts";
import { HyperError } from "../core/errors.ts";
import { Semaphore } from "../core/semaphore.ts";
import { query, transaction } from "../store/database.ts";
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
export type Owner = Identity;

const CONDITIONS: Record<keyof JobFilter | "owner" | "before", (place: string) => string> = {
  ids: (at) => `id = ANY (${at}::uuid[])`,
  states: (at) => `state = ANY (${at})`,
  functions: (at) => `function = ANY (${at})`,
  hosts: (at) => `split_part(host, '/', 1) = ANY (${at})`, // an alias, of whatever machine
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

/** A look at a million jobs takes a second; the connections are for workers, too, who must not fall silent. */
const looks = new Semaphore({ slots: 2, queue: 100, waitMs: 20_000, slotName: "a query of jobs" });
const TIMEOUT_MS = 10_000;
/** Of the inputs and answers on a page, each of which may have a megabyte; a page has one job in any case. */
const PAGE_BYTES = 8 * 1024 * 1024;

const page = (where: string, limit: number) => `
  WITH found AS (
    SELECT id, seq, octet_length(input::text) + coalesce(octet_length(answer::text), 0) AS size
    FROM job ${where} ORDER BY seq DESC LIMIT ${limit + 1}
  ), page AS (
    SELECT id, count(*) OVER ()::int AS found, sum(size) OVER (ORDER BY seq DESC) - size AS bytes FROM found
  )
  SELECT row_to_json(job) AS job, found FROM page JOIN job USING (id) WHERE bytes < ${PAGE_BYTES} ORDER BY seq DESC`;

/**
 * The newest first. Throws `invalid_input` for a cursor that is none of ours, `busy` where many ask, and `timed_out`
 * for a look that takes too long.
 */
export async function queryJobs(
  filter: JobFilter,
  owner: Owner | undefined,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): Promise<Page> {
  if (cursor !== undefined && !/^\d{1,18}$/.test(cursor)) {
    throw new HyperError("invalid_input", "cursor: must be the cursor of an earlier answer");
  }
  const all = where({ ...filter, owner: owner && JSON.stringify(owner) });
  const some = where({ ...filter, owner: owner && JSON.stringify(owner), before: cursor });
  const leave = await looks.acquire();
  try {
    return await transaction(async (client) => {
      await client.query(`SET LOCAL statement_timeout = ${TIMEOUT_MS}`);
      const read = page(some.text, limit);
      const { rows } = await client.query<{ job: Job; found: number }>(read, some.values);
      const jobs = rows.slice(0, limit).map(({ job }) => job);
      const found = rows[0]?.found ?? 0;
      const next = found > jobs.length ? `${jobs.at(-1)?.seq}` : null;
      if (cursor === undefined && found <= limit) return { jobs, total: found, cursor: next };
      const count = `SELECT count(*)::int AS total FROM job ${all.text}`;
      const total = (await client.query<{ total: number }>(count, all.values)).rows[0]?.total ?? 0;
      return { jobs, total, cursor: next };
    });
  } catch (error) {
    throw isTimeout(error) ? tooLong() : error;
  } finally {
    leave();
  }
}

/** PostgreSQL's own word for it (source: appendix A), which elsewhere means a database that does not answer. */
const isTimeout = (error: unknown) =>
  ((error as Error).cause as { code?: unknown } | undefined)?.code === "57014";

const tooLong = () =>
  new HyperError(
    "timed_out",
    `to look through the jobs took longer than ${TIMEOUT_MS / 1000} s; ask for less, as by since, status or job_ids`,
  );

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
