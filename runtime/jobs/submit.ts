/** Jobs are stored and delivered in one transaction: a job that was accepted is never lost. */
import { createHash, randomUUID } from "node:crypto";
import type { PoolClient } from "pg";
import { HyperError } from "../core/errors.ts";
import { observer } from "../events/bus.ts";
import { transaction } from "../store/database.ts";
import { boss, delivery, inserting, queueOf } from "./boss.ts";
import type { Job, NewJob } from "./job.ts";
import { NOTIFY_HOST } from "./notices.ts";
import { KEEP_KEYS } from "./retention.ts";

const INSERT = `
  INSERT INTO job (id, function, host, input, submitter, domains, exclusive_locks, shared_locks,
    priority, run_at, schedule, key, request)
  SELECT id, function, host, input, submitter, domains, exclusive_locks, shared_locks,
    priority, coalesce(run_at, now()), schedule, key, request
  FROM json_to_recordset($1) AS one (id uuid, function text, host text, input json, submitter jsonb,
    domains text[], exclusive_locks text[], shared_locks text[], priority integer, run_at timestamptz, schedule text,
    key text, request text)
  ON CONFLICT DO NOTHING
  RETURNING row_to_json(job) AS job, ${NOTIFY_HOST}`;

/**
 * Stores jobs, in their order; one whose key was used before is the job of that time. Throws `function_unavailable`
 * where the database cannot take them, and `idempotency_mismatch` for another job's key; none is kept then.
 */
export async function submitJobs(wanted: NewJob[]): Promise<Job[]> {
  const hosts = [...new Set(wanted.map(({ host }) => host))];
  for (const host of hosts) await queueOf(host);
  observer.submitted?.();
  return transaction(async (client) => {
    await lockKeys(client, wanted);
    await forgetOldKeys(client, wanted);
    const stored = await storeJobs(client, wanted);
    const fresh = stored.filter(({ key }) => key === null).values();
    const known = await findByKey(client, wanted);
    return wanted.map((one) => {
      const job = one.key === undefined ? fresh.next().value : known(one);
      if (!job) throw new Error("a job was not stored");
      if (one.key === undefined || job.request === fingerprint(one)) return job;
      const text = `idempotency_key: ${JSON.stringify(one.key)} was used for another job`;
      throw new HyperError("idempotency_mismatch", text);
    });
  });
}

/** One batch of a submitter at a time: two with the same keys in another order would wait for each other. */
async function lockKeys(client: PoolClient, wanted: NewJob[]) {
  const [first, second] = wanted.filter(({ key }) => key !== undefined);
  if (!first || !second) return;
  const { kind, name } = first.submitter; // two tokens of one name wait for each other, too
  const lock = "SELECT pg_advisory_xact_lock(hashtext('hypersdk keys'), hashtext($1))";
  await client.query(lock, [`${kind} ${name}`]);
}

/** Those that retention.ts has not come to yet. */
async function forgetOldKeys(client: PoolClient, wanted: NewJob[]) {
  const keys = wanted.flatMap(({ key }) => key ?? []);
  if (keys.length === 0) return;
  const forget = `UPDATE job SET key = NULL, request = NULL
    WHERE key = ANY ($1) AND created_at < now() - interval '${KEEP_KEYS}'`;
  await client.query(forget, [keys]);
}

const FIND = `SELECT row_to_json(job) AS job FROM job
  WHERE submitter ->> 'kind' = $1 AND submitter ->> 'name' = $2 AND coalesce(submitter ->> 'fingerprint', '') = $3
    AND key = ANY ($4)`;

/** The jobs of the keys, be they new or old. */
async function findByKey(client: PoolClient, wanted: NewJob[]) {
  const keys = wanted.flatMap(({ key }) => key ?? []);
  const [first] = wanted;
  if (!first || keys.length === 0) return () => undefined;
  const { kind, name, fingerprint = "" } = first.submitter;
  const { rows } = await client.query<{ job: Job }>(FIND, [kind, name, fingerprint, keys]);
  const byKey = new Map(rows.map(({ job }) => [job.key, job]));
  return ({ key }: NewJob) => byKey.get(`${key}`);
}

const fingerprint = ({ function: path, host, input, priority, runAt }: NewJob) =>
  createHash("sha256")
    .update(JSON.stringify([path, host, input, priority ?? 0, runAt]))
    .digest("hex");

/** The same within a transaction; the queues of the hypervisors exist. */
export async function storeJobs(client: PoolClient, wanted: NewJob[]): Promise<Job[]> {
  const rows = wanted.map(({ locks, runAt, priority = 0, ...job }) => ({
    ...job,
    id: randomUUID(),
    exclusive_locks: locks.exclusive,
    shared_locks: locks.shared,
    priority,
    run_at: runAt,
    request: job.key === undefined ? undefined : fingerprint({ ...job, locks, runAt, priority }),
  }));
  const values = [JSON.stringify(rows)];
  const stored = await client.query<{ job: Job }>({ name: "store jobs", text: INSERT, values });
  const jobs = stored.rows.map(({ job }) => job);
  await deliver(client, jobs);
  return jobs;
}

/** Puts jobs into the queues of their hypervisors. The statement that made them ready wakes workers (`NOTIFY_HOST`). */
export async function deliver(client: PoolClient, jobs: Job[]) {
  for (const [host, some] of Map.groupBy(jobs, ({ host }) => host)) {
    await (await boss()).insert(await queueOf(host), some.map(delivery), inserting(client));
  }
}
