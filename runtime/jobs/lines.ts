/** What jobs log, in the database: with each beat, and the last of it in the transaction of the end. */
import { database } from "../store/database.ts";
import { storableJson } from "../store/text.ts";
import type { Attempt, Line } from "./attempt.ts";

const LOG = `
  INSERT INTO job_log (job, time, attempt, level, message, fields)
  SELECT job, time, attempt, level, message, fields FROM json_to_recordset($1)
    AS one (job uuid, time timestamptz, attempt integer, level text, message text, fields json)`;

interface Client {
  query(text: string, values: unknown[]): Promise<unknown>;
}

/** Writes what the attempt has logged since the last time. */
export async function writeLines(attempt: Attempt) {
  const lines = attempt.lines.splice(0);
  try {
    await storeLines(await database(), [{ id: attempt.job.id, attempt: attempt.number, lines }]);
  } catch (error) {
    attempt.lines.unshift(...lines);
    throw error;
  }
}

/** Those of several jobs in one statement; of none it costs nothing. */
export async function storeLines(
  client: Client,
  jobs: { id: string; attempt: number; lines: Line[] }[],
) {
  const rows = jobs.flatMap(({ id, attempt, lines }) =>
    lines.map((line) => ({ ...line, job: id, attempt })),
  );
  if (rows.length > 0) await client.query(LOG, [storableJson(rows)]);
}
