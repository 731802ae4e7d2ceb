/** What no notice tells a worker: jobs whose time has come, and jobs whose worker has died. */
import { query } from "../store/database.ts";
import { SILENCE_SECONDS } from "./claim.ts";

const HOSTS_WITH_WORK =
  "SELECT DISTINCT host FROM job WHERE state = 'queued' AND NOT parked AND run_at <= now()";

const SILENT = `
  SELECT id, host FROM job WHERE state IN ('running', 'cancelling') AND id <> ALL ($1)
    AND heartbeat_at < clock_timestamp() - interval '${SILENCE_SECONDS} seconds'
  ORDER BY seq LIMIT $2`;

/** Hypervisors with jobs that are to begin. */
export async function findHosts(): Promise<string[]> {
  const { rows } = await query<{ host: string }>(HOSTS_WITH_WORK);
  return rows.map(({ host }) => host);
}

/** Others' jobs that nobody has at work any more, by their hypervisors. */
export async function findSilent(own: string[], limit: number): Promise<Map<string, string[]>> {
  const { rows } = await query<{ id: string; host: string }>(SILENT, [own, limit]);
  const byHost = Map.groupBy(rows, ({ host }) => host);
  return new Map([...byHost].map(([host, jobs]) => [host, jobs.map(({ id }) => id)]));
}
