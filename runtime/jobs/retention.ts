/** What is kept for a time only: jobs that have ended, with their logs, and the keys that make a call the same one. */
import { settings } from "../core/settings.ts";
import { query } from "../store/database.ts";

const PAUSE_MS = 60 * 60 * 1000;
/** Rows of one statement, which then takes no long lock. */
const AT_ONCE = 1000;
export const KEEP_KEYS = "24 hours";

/** The last job of a schedule tells its last result. */
const REMOVE_JOBS = `DELETE FROM job WHERE id IN (
    SELECT id FROM job WHERE ended_at < now() - make_interval(days => $1)
      AND NOT EXISTS (SELECT FROM schedule WHERE last_job = job.id)
    LIMIT ${AT_ONCE}
  ) RETURNING id`;
const FORGET_KEYS = `UPDATE job SET key = NULL, request = NULL WHERE id IN (
    SELECT id FROM job WHERE key IS NOT NULL AND created_at < now() - interval '${KEEP_KEYS}' LIMIT ${AT_ONCE}
  ) RETURNING id`;
/** A call may be at work for longer, of which its server tells. */
const REMOVE_ANSWERS = `DELETE FROM idempotency WHERE (who, key) IN (
    SELECT who, key FROM idempotency WHERE created_at < now() - interval '${KEEP_KEYS}'
      AND alive_at < now() - interval '1 minute' LIMIT ${AT_ONCE}
  ) RETURNING key`;

export async function removeOld() {
  await repeat(REMOVE_JOBS, [settings().jobs.keep_days]);
  await repeat(FORGET_KEYS, []);
  await repeat(REMOVE_ANSWERS, []);
}

async function repeat(statement: string, values: unknown[]) {
  while ((await query(statement, values)).rows.length === AT_ONCE);
}

/** The same, for one who asks often: at once, and once an hour then. */
export function createRetention(): () => Promise<void> {
  let next = 0;
  return async () => {
    if (performance.now() < next) return;
    next = performance.now() + PAUSE_MS;
    await removeOld();
  };
}
