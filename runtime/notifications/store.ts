/** The receivers in the database. */
import { observer } from "../events/bus.ts";
import { query, transaction } from "../store/database.ts";
import { storableJson } from "../store/text.ts";
import { type ReceiverName, type ReceiverSettings, typesOf } from "./receivers.ts";

export interface Receiver {
  name: ReceiverName;
  settings: ReceiverSettings;
  enabled: boolean;
  changed_at: string;
  changed_by: string;
  /** Messages that wait for it. */
  waiting: number;
  retry_at: string | null;
  last_error: string | null;
  delivered: number;
  delivered_at: string | null;
  /** Given up after a day. */
  dropped: number;
}

const READ = `SELECT row_to_json(receiver) AS receiver,
    (SELECT count(*)::int FROM outbox WHERE outbox.receiver = receiver.name) AS waiting
  FROM receiver ORDER BY name`;

export async function readReceivers(): Promise<Receiver[]> {
  const { rows } = await query<{ receiver: Receiver; waiting: number }>(READ);
  return rows.map(({ receiver, waiting }) => ({ ...receiver, waiting }));
}

const WRITE = `INSERT INTO receiver (name, settings, enabled, types, changed_by) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (name) DO UPDATE SET settings = excluded.settings, enabled = excluded.enabled, types = excluded.types,
    changed_by = excluded.changed_by, changed_at = now(), tries = 0, retry_at = NULL, last_error = NULL,
    summary_on = CASE WHEN 'summary.daily' = ANY (receiver.types) THEN receiver.summary_on
      ELSE (now() AT TIME ZONE 'UTC')::date END`;

export type Change = Pick<Receiver, "name" | "settings" | "enabled">;

/** What waits for a receiver that is disabled is given up. */
export async function writeReceivers(changes: Change[], who: string) {
  await transaction(async (client) => {
    for (const { name, settings, enabled } of changes) {
      const values = [name, storableJson(settings), enabled, typesOf(settings), who];
      await client.query(WRITE, values);
      if (!enabled) await client.query("DELETE FROM outbox WHERE receiver = $1", [name]);
    }
  });
  observer.submitted?.(); // a worker brings messages to them
}
