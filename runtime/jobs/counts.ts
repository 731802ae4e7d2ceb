/** How many jobs there are, for those who only look: a database that is not in use is not opened for them. */
import { databaseInUse } from "../store/state.ts";

interface Counts {
  queued: number;
  running: number;
  cancelling: number;
  failed_24h: number;
}

const COUNT = `SELECT
  count(*) FILTER (WHERE state = 'queued')::int AS queued,
  count(*) FILTER (WHERE state = 'running')::int AS running,
  count(*) FILTER (WHERE state = 'cancelling')::int AS cancelling,
  (SELECT count(*) FROM job WHERE state = 'failed' AND ended_at > now() - interval '24 hours')::int AS failed_24h
  FROM job WHERE state IN ('queued', 'running', 'cancelling')`;

/** Undefined while no database is in use here. */
export async function countJobs(): Promise<Counts | undefined> {
  return (await databaseInUse()?.query<Counts>(COUNT))?.rows[0];
}

/**
 * Those that have not ended, and are of a hypervisor or lock a domain of it, as a migration to it does; none while no
 * database is in use here.
 */
export async function openJobsOf(host: string): Promise<number> {
  const count = `SELECT count(*)::int AS jobs FROM job
    WHERE state IN ('queued', 'running', 'cancelling') AND (host = $1
      OR EXISTS (SELECT FROM unnest(exclusive_locks || shared_locks) AS lock WHERE starts_with(lock, $1 || '/')))`;
  return (await databaseInUse()?.query<{ jobs: number }>(count, [host]))?.rows[0]?.jobs ?? 0;
}
