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

/** Heard once the client's transaction is committed. */
export async function notifyCancel(client: Client, job: string) {
  await client.query("SELECT pg_notify($1, $2)", [CHANNEL, JSON.stringify({ cancel: job })]);
}

/**
 * For the statement that makes jobs ready: a column that tells the hypervisor of each. PostgreSQL tells what is the same
 * within a transaction once.
 */
export const NOTIFY_HOST = `pg_notify('${CHANNEL}', json_build_object('hosts', json_build_array(host))::text)`;

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
