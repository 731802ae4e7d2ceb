/** What processes on one database tell each other at once: that there is work, and that a job is to be cancelled. */
import { log } from "../core/log.ts";
import { listenTo } from "../store/listen.ts";

const CHANNEL = "hypersdk_jobs";

export interface Notice {
  /** There may be work at these hypervisors. */
  hosts?: string[];
  /** This job is to be cancelled. */
  cancel?: string;
}

interface Client {
  query(text: string, values?: unknown[]): Promise<unknown>;
}

/** Heard once the client's transaction is committed. A payload of PostgreSQL has at most 8000 bytes. */
export async function notify(client: Client, notice: Notice) {
  const text = JSON.stringify(notice);
  const payload = text.length < 7000 ? text : "{}";
  await client.query("SELECT pg_notify($1, $2)", [CHANNEL, payload]);
}

/** Calls `hear` for each notice, and with an empty one when some may have been missed. Resolves to how to end it. */
export async function hearNotices(hear: (notice: Notice) => void): Promise<() => Promise<void>> {
  return listenTo(CHANNEL, (payload) => {
    try {
      hear(payload === undefined ? {} : (JSON.parse(payload) as Notice));
    } catch (error) {
      log.warn({ error, payload }, "a notice of the database cannot be read");
    }
  });
}
