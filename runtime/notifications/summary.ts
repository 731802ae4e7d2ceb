/** The mail of a day: what became of jobs. */
import { query, transaction } from "../store/database.ts";
import { storeMessages } from "./outbox.ts";

const DUE = `FROM receiver WHERE enabled AND 'summary.daily' = ANY (types) AND summary_on < (now() AT TIME ZONE 'UTC')::date`;
const COUNT = `SELECT state, count(*)::int FROM job
  WHERE ended_at >= $1::date AT TIME ZONE 'UTC' AND ended_at < ($1::date + 1) AT TIME ZONE 'UTC' GROUP BY state`;

/** Where a day is over that was not told of. A day on which no process ran is told of later, and only the last one. */
export async function storeSummary() {
  if ((await query(`SELECT ${DUE} LIMIT 1`)).rows.length === 0) return;
  await transaction(async (client) => {
    const due = await client.query<{ name: string; day: string }>(
      `SELECT name, ((now() AT TIME ZONE 'UTC')::date - 1)::text AS day ${DUE} FOR UPDATE`,
    );
    const [first] = due.rows;
    if (!first) return; // another process was first
    const counted = await client.query<{ state: string; count: number }>(COUNT, [first.day]);
    const jobs = { completed: 0, failed: 0, cancelled: 0 };
    for (const { state, count } of counted.rows) jobs[state as keyof typeof jobs] = count;
    const { completed, failed, cancelled } = jobs;
    const title = `HyperSDK on ${first.day}: ${completed} jobs completed, ${failed} failed`;
    const text = `Jobs that ended on ${first.day} (UTC): ${completed} completed, ${failed} failed, ${cancelled} cancelled.`;
    const receivers = due.rows.map(({ name }) => name);
    await storeMessages(client, [
      { type: "summary.daily", data: { title, text, day: first.day, jobs }, receivers },
    ]);
    const note =
      "UPDATE receiver SET summary_on = (now() AT TIME ZONE 'UTC')::date WHERE name = ANY ($1)";
    await client.query(note, [receivers]);
  });
}
