/** Domains that a call comes upon in the middle of its work, such as those of a hypervisor that is emptied. */
import type { PoolClient } from "pg";
import { transaction } from "../store/database.ts";
import { databaseInUse } from "../store/state.ts";
import { lock } from "./claim.ts";
import { hostKey } from "./host-key.ts";

export interface HeldDomain {
  host: string;
  name: string;
}

const keyOf = ({ host, name }: HeldDomain) => `${hostKey(host)}/${name}`;

const HOLDER = "SELECT job FROM job_lock WHERE key = $1 AND job IS DISTINCT FROM $2 LIMIT 1";

/** The job that works on a domain; undefined where none does, or no database is in use here. */
export async function holderOf(domain: HeldDomain): Promise<string | undefined> {
  const found = await databaseInUse()?.query<{ job: string }>(HOLDER, [keyOf(domain), null]);
  return found?.rows[0]?.job;
}

/**
 * Locks a domain for a job until its end, as those that its input names were locked when it began. Resolves to the other
 * job that has it, which is not waited for: two that wait for each other would do so for ever.
 */
export async function holdDomain(id: string, domain: HeldDomain): Promise<string | undefined> {
  return transaction(async (client: PoolClient) => {
    await lock(client);
    const key = keyOf(domain);
    const { rows } = await client.query<{ job: string }>(HOLDER, [key, id]);
    if (rows[0]) return rows[0].job;
    const insert = `INSERT INTO job_lock (key, job, shared) SELECT $1, id, false FROM job
      WHERE id = $2 AND state IN ('running', 'cancelling')
        AND NOT EXISTS (SELECT FROM job_lock WHERE key = $1 AND job = $2)`;
    await client.query(insert, [key, id]);
    return undefined;
  });
}
