/** What a worker says every second: that it has its jobs, how far they are, and what they log. */
import { database } from "../store/database.ts";
import { storableJson } from "../store/text.ts";
import type { Attempt } from "./attempt.ts";
import { boss, inTransaction, queueOf } from "./boss.ts";
import type { State } from "./job.ts";
import { writeLines } from "./lines.ts";

const BEAT = "SELECT * FROM beat_jobs($1, $2, $3)";

/** One beat. A job that is another worker's by now, or that was cancelled, is stopped. */
export async function beatAll(attempts: Map<string, Attempt>, worker: string) {
  const before = [...attempts.values()];
  const states = await beat(before, worker);
  for (const attempt of before) {
    const state = states.get(attempt.job.id);
    if (!attempts.has(attempt.job.id)) continue; // it has ended meanwhile
    if (state === undefined) attempt.stop("lost");
    else if (state === "cancelling" && !attempt.stopped) attempt.stop("cancelled");
  }
}

/** Resolves to the states of the jobs that are still this worker's. */
async function beat(attempts: Attempt[], worker: string): Promise<Map<string, State>> {
  if (attempts.length === 0) return new Map();
  const pool = await database();
  const rows = attempts.map(({ job, number, progress }) => {
    return { id: job.id, attempt: number, progress };
  });
  const own = await pool.query<{ id: string; state: State }>(BEAT, [
    rows.map(({ id }) => id),
    storableJson(rows),
    worker,
  ]);
  for (const [host, some] of Map.groupBy(attempts, ({ job }) => job.host)) {
    const ids = some.map(({ job }) => job.id);
    await (await boss()).touch(await queueOf(host), ids, inTransaction(pool));
  }
  const states = new Map(own.rows.map(({ id, state }) => [id, state]));
  for (const attempt of attempts) if (states.has(attempt.job.id)) await writeLines(attempt);
  return states;
}
