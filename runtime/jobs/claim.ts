/** Which of the jobs that pg-boss has delivered a worker begins, and what becomes of them in the end. */
import type { PoolClient, QueryConfig } from "pg";
import { settings } from "../core/settings.ts";
import { query, transaction } from "../store/database.ts";
import { storableJson } from "../store/text.ts";
import { announceEnds } from "./announce.ts";
import type { Attempt, Line } from "./attempt.ts";
import { boss, inTransaction, queueOf } from "./boss.ts";
import type { Answer, Job, Progress, State } from "./job.ts";
import { storeLines } from "./lines.ts";
import { NOTIFY_HOST } from "./notices.ts";
import { deliver } from "./submit.ts";

/** A worker that has said nothing for so long counts as dead. */
export const SILENCE_SECONDS = 8;

export interface Claim {
  verdict: "started" | "taken over" | "alive" | "busy" | "parked" | "ended";
  claimed: Job;
}

/** How many jobs pg-boss has handed over, and those that this worker has now. */
interface Claims {
  delivered: number;
  claims: Claim[];
}

/**
 * Takes up to `count` jobs of a hypervisor. Those whose domain or hypervisor has no place for them are parked, until
 * the end of another job wakes them.
 */
export async function claimJobs(
  host: string,
  count: number,
  worker: string,
  { own, mayTakeOver }: Standing,
): Promise<Claims> {
  const queue = await queueOf(host);
  const one = await boss();
  const delivered = await one.fetch(queue, { batchSize: count });
  if (delivered.length === 0) return { delivered: 0, claims: [] };
  const ids = delivered.map(({ id }) => id);
  const others = ids.filter((id) => !own(id)); // what we have stays delivered to us
  const rows = await claim({ query }, others, worker, mayTakeOver);
  const known = new Map(rows.map((row) => [row.claimed.id, row]));
  const rest = others.filter((id) => !isBegun(known.get(id)));
  const alive = rest.filter((id) => known.get(id)?.verdict === "alive");
  if (alive.length > 0) await one.fail(queue, alive); // offered again later
  const later = rest.filter((id) => !alive.includes(id));
  if (later.length > 0) rows.push(...(await park(queue, later, worker)));
  return { delivered: ids.length, claims: rows.filter(isBegun) };
}

/** In one transaction a job is parked and no longer delivered, so that whoever wakes it delivers it anew. */
async function park(queue: string, ids: string[], worker: string): Promise<Claim[]> {
  return transaction(async (client) => {
    const rows = await claim(client, ids, worker, false, true);
    const begun = rows.filter(isBegun); // its place has become free meanwhile
    const gone = ids.filter((id) => !begun.some(({ claimed }) => claimed.id === id));
    if (gone.length > 0) await (await boss()).deleteJob(queue, gone, inTransaction(client));
    return begun;
  });
}

/** What a worker knows of itself and of the others. */
export interface Standing {
  /** Whether it has a job at work. */
  own(id: string): boolean;
  /** False while the others' silence may be that of the database. */
  mayTakeOver: boolean;
}

/** A job of this worker's that it knows nothing of: the answer to its claim was lost with the connection. */
const DISOWN = `UPDATE job SET worker = 'a lost claim of ' || worker
  WHERE id = ANY ($1) AND worker = $2 AND heartbeat_at < clock_timestamp() - interval '${SILENCE_SECONDS} seconds'`;

/** Takes jobs over whose workers are silent, without waiting until pg-boss offers them. None of them is at work here. */
export async function takeOverJobs(ids: string[], worker: string): Promise<Claim[]> {
  await query(DISOWN, [ids, worker]); // claim_jobs leaves its claimant's own jobs alone
  return (await claim({ query }, ids, worker, true)).filter(isBegun);
}

const isBegun = (claim: Claim | undefined) =>
  claim?.verdict === "started" || claim?.verdict === "taken over";

async function claim(
  client: { query(statement: QueryConfig): Promise<{ rows: unknown[] }> },
  ids: string[],
  worker: string,
  mayTakeOver: boolean,
  mayPark = false,
) {
  if (ids.length === 0) return [];
  const text = "SELECT * FROM claim_jobs($1, $2, $3, $4, $5)";
  const alive = mayTakeOver ? `${SILENCE_SECONDS} seconds` : "1 day";
  const values = [ids, worker, settings().jobs.per_host, alive, mayPark];
  const { rows } = await client.query({ name: "claim jobs", text, values });
  return rows as Claim[];
}

export interface Ending {
  job: Job;
  /** The number of the attempt that ends it. */
  attempt: number;
  state: State;
  answer: Answer | null;
  /** Undefined: as it was. */
  progress?: Progress | undefined;
  /** The input without its secrets, which nobody needs any more. */
  input: unknown;
  /** What it has logged last. */
  lines?: Line[];
}

/** Ends jobs. Those that another worker has taken over meanwhile are that worker's to end. */
export async function endJobs(endings: Ending[], worker: string) {
  for (const { job } of endings) await queueOf(job.host); // to make one takes another connection
  await transaction(async (client) => {
    const rows = endings.map(({ job, attempt, state, answer, progress, input }) => {
      return { id: job.id, attempt, state, answer, progress, input };
    });
    const end = "SELECT * FROM end_jobs($1, $2, $3)";
    const values = [rows.map(({ id }) => id), storableJson(rows), worker];
    const ended = await client.query<{ id: string; host: string }>(end, values);
    const ids = new Set(ended.rows.map(({ id }) => id));
    await storeLines(client, endings.filter(({ job }) => ids.has(job.id)).map(linesOf));
    await announceEnds(client, [...ids]);
    await release(client, ended.rows);
  });
}

const linesOf = ({ job, attempt, lines = [] }: Ending) => ({ id: job.id, attempt, lines });

/** Until a job is begun again whose hypervisor was away. */
const AGAIN_MS = 5000;

/**
 * Gives a job back that this worker does not finish: another one begins it anew, or the same one after a while.
 * Resolves to its state then: "cancelling" if it was cancelled at the last moment; undefined if it is another's.
 */
export async function returnJob({ job, number, stopped }: Attempt, worker: string) {
  await queueOf(job.host);
  return transaction(async (client) => {
    await lock(client);
    const back = `UPDATE job SET state = CASE state WHEN 'running' THEN 'queued' ELSE state END
      WHERE id = $1 AND attempt = $2 AND worker = $3
      RETURNING row_to_json(job) AS job, ${NOTIFY_HOST}`;
    const { rows } = await client.query<{ job: Job }>(back, [job.id, number, worker]);
    const queued = rows.flatMap(({ job }) => (job.state === "queued" ? job : []));
    await release(client, queued);
    const later = new Date(Date.now() + AGAIN_MS).toISOString();
    const begins = stopped === "again" ? { run_at: later } : {};
    await deliver(
      client,
      queued.map((one) => ({ ...one, ...begins })),
    );
    return rows[0]?.job.state;
  });
}

/** The lock under which claim_jobs decides too: a job that finds a lock taken is parked before its holder looks. */
export const lock = (client: PoolClient) =>
  client.query("SELECT pg_advisory_xact_lock(hashtext('hypersdk jobs'))");

/** Frees what jobs hold, and delivers those that waited for it. */
async function release(client: PoolClient, jobs: { id: string; host: string }[]) {
  if (jobs.length === 0) return;
  const ids = jobs.map(({ id }) => id);
  const one = await boss();
  for (const [host, some] of Map.groupBy(jobs, ({ host }) => host)) {
    const gone = some.map(({ id }) => id);
    await one.deleteJob(await queueOf(host), gone, inTransaction(client));
  }
  const hosts = [...new Set(jobs.map(({ host }) => host))];
  const woken = await client.query<{ job: Job }>(
    `SELECT row_to_json(woken) AS job, ${NOTIFY_HOST} FROM release_jobs($1, $2, $3) AS woken`,
    [ids, hosts, settings().jobs.per_host],
  );
  await deliver(
    client,
    woken.rows.map(({ job }) => job),
  );
}
