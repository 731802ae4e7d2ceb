/** Places for copies: a hard limit for each hypervisor that holds across all workers. */
import { setTimeout as sleep } from "node:timers/promises";
import { HyperError } from "../core/errors.ts";
import { settings } from "../core/settings.ts";
import { insist } from "./insist.ts";
import type { Job } from "./job.ts";

const PAUSE_MS = 200;

type Taker = Pick<Job, "id" | "attempt">;

/** Places that jobs of this process have. */
const held = new Set<Taker & { host: string; place: number }>();

/**
 * A place is free once its row is gone: with the end of the copy, or once a dead worker's copy was ended. A row of the
 * attempt itself that it does not know is of a statement whose answer was lost with the database.
 */
const TAKE = `
  WITH own AS (
    SELECT place FROM job_copy WHERE host = $1 AND job = $2 AND attempt = $3 AND place <> ALL ($5::integer[]) LIMIT 1
  ), taken AS (
    INSERT INTO job_copy (host, place, job, attempt)
    SELECT $1, n, $2, $3 FROM generate_series(1, $4) AS free (n)
    WHERE NOT EXISTS (SELECT FROM job_copy WHERE host = $1 AND place = n) AND NOT EXISTS (SELECT FROM own)
    ORDER BY n LIMIT 1
    ON CONFLICT DO NOTHING RETURNING place
  ) SELECT place FROM own UNION ALL SELECT place FROM taken`;

/** Waits for a place. Throws `cancelled` when the signal says so. */
export async function takeCopyPlace(taker: Taker, host: string, signal: AbortSignal) {
  for (;;) {
    if (signal.aborted) throw new HyperError("cancelled", "the job was cancelled");
    const taken = await oneByOne(() => take(taker, host));
    if (taken) {
      return async () => {
        await giveBack(host, taken.place, taker);
        held.delete(taken);
      };
    }
    await sleep(PAUSE_MS, undefined, { signal }).catch(() => {});
  }
}

let last: Promise<unknown> = Promise.resolve();

/** Else two copies of a job would take the same lost place. */
function oneByOne<T>(work: () => Promise<T>): Promise<T> {
  const next = last.then(work);
  last = next.catch(() => {});
  return next;
}

async function take({ id, attempt }: Taker, host: string) {
  const own = [...held].filter((one) => one.id === id && one.attempt === attempt);
  const places = own.filter((one) => one.host === host).map(({ place }) => place);
  const values = [host, id, attempt, settings().clone.copies, places];
  const { rows } = await insist((pool) => pool.query<{ place: number }>(TAKE, values));
  const [row] = rows;
  if (!row) return undefined;
  const taken = { id, attempt, host, place: row.place };
  held.add(taken);
  return taken;
}

/** A later attempt of the job may have the same place by now. */
async function giveBack(host: string, place: number, { id, attempt }: Taker) {
  const free = "DELETE FROM job_copy WHERE host = $1 AND place = $2 AND job = $3 AND attempt = $4";
  await insist((pool) => pool.query(free, [host, place, id, attempt]));
}

/** The places of attempts before this one, whose programs were ended. */
export async function freeCopyPlaces({ id, attempt }: Taker) {
  const free = "DELETE FROM job_copy WHERE job = $1 AND attempt < $2";
  await insist((pool) => pool.query(free, [id, attempt]));
}
