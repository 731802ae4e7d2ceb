/** Cancelling: a job that waits ends at once; one at work is cancelling until its worker has undone it. */
import { redact } from "../core/redact.ts";
import { observer } from "../events/bus.ts";
import { transaction } from "../store/database.ts";
import { storableJson } from "../store/text.ts";
import { announceEnds } from "./announce.ts";
import { boss, inTransaction, queueOf } from "./boss.ts";
import { lock } from "./claim.ts";
import type { Job } from "./job.ts";
import { ENDED } from "./job.ts";
import { notifyCancel } from "./notices.ts";

const CANCEL = `
  UPDATE job SET
    state = CASE state WHEN 'queued' THEN 'cancelled' ELSE 'cancelling' END,
    ended_at = CASE state WHEN 'queued' THEN now() END,
    parked = false, cancel_requested_at = now(), cancelled_by = $2, answer = CASE state WHEN 'queued' THEN $3::json END
  WHERE id = $1 AND state IN ('queued', 'running')
  RETURNING row_to_json(job) AS job`;

/** `answer` is what a job says that never began. Resolves to the job as it is then, be it that it had ended. */
export async function cancelJob(
  { id, host }: Pick<Job, "id" | "host">,
  who: string,
  answer: object,
): Promise<{ job: Job; wasEnded: boolean }> {
  const queue = await queueOf(host);
  return transaction(async (client) => {
    await lock(client); // else a worker that begins it at this moment would not see that it has ended
    const changed = await client.query<{ job: Job }>(CANCEL, [id, who, JSON.stringify(answer)]);
    const [row] = changed.rows;
    if (row?.job.state === "cancelled") {
      const hide = "UPDATE job SET input = $2 WHERE id = $1"; // its secrets are needed no more
      await client.query(hide, [id, storableJson(redact(row.job.input))]);
      await (await boss()).deleteJob(queue, id, inTransaction(client));
      await announceEnds(client, [id]);
      const waited_ms = Date.now() - Date.parse(row.job.created_at);
      observer.job?.({ path: row.job.function, state: "cancelled", waited_ms, worked_ms: 0 });
    } else if (row) await notifyCancel(client, id);
    if (row) return { job: row.job, wasEnded: false };
    const now = await client.query<{ job: Job }>(
      "SELECT row_to_json(job) AS job FROM job WHERE id = $1",
      [id],
    );
    const job = now.rows[0]?.job as Job;
    return { job, wasEnded: ENDED.includes(job.state) };
  });
}
