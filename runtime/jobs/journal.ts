/** Journals of jobs: what an attempt has made stands in the database, so that any worker can remove it. */
import { randomUUID } from "node:crypto";
import { HyperError } from "../core/errors.ts";
import { insist } from "./insist.ts";
import type { Job } from "./job.ts";
import type { JournalStore } from "./scope.ts";

/** The resources of one operation, in the order in which they were made. */
export interface Made {
  host: string;
  operation: string;
  complete: boolean;
  resources: object[];
}

/** Only the attempt that has the job may write. */
const OWN =
  "WITH own AS (SELECT id FROM job WHERE id = $1 AND attempt = $2 AND worker = $3 FOR SHARE)";

const SAVE = `${OWN}
  INSERT INTO job_journal (job, journal, host, operation, resources) SELECT id, $4, $5, $6, $7 FROM own
  ON CONFLICT (job, journal) DO UPDATE SET resources = excluded.resources RETURNING job`;
const COMPLETE = `${OWN} UPDATE job_journal SET complete = true FROM own WHERE job = id AND journal = $4 RETURNING job`;
/** Done again, where its outcome was unknown, it finds nothing to remove. */
const REMOVE = `${OWN}, gone AS (DELETE FROM job_journal USING own WHERE job = id AND journal = $4)
  SELECT id FROM own`;
/** An operation that is complete and has nothing to remove says that its job has given out what it made. */
const KEEP = `${OWN}, kept AS (UPDATE job_journal SET resources = '[]' FROM own WHERE job = id AND complete)
  SELECT id FROM own`;

type Owner = Pick<Job, "id" | "worker" | "attempt">;

/** Planned once a connection: the job waits for it. */
async function write(name: string, text: string, values: unknown[]) {
  const { rows } = await insist((pool) => pool.query({ name, text, values }));
  if (rows.length === 0) throw superseded();
}

/** Each write waits until the database is back. It throws `superseded` once another worker has the job. */
export function openJournal(
  job: Owner & { unfinished: Set<string> },
  host: string,
  operation: string,
): JournalStore {
  const journal = randomUUID();
  const own = () => [job.id, job.attempt, job.worker, journal];
  const end = async (name: string, statement: string) => {
    if (!job.unfinished.has(journal)) return; // nothing was noted
    await write(name, statement, own());
    job.unfinished.delete(journal);
  };
  return {
    async save(resources) {
      job.unfinished.add(journal);
      await write("save journal", SAVE, [...own(), host, operation, JSON.stringify(resources)]);
    },
    complete: () => end("complete journal", COMPLETE),
    remove: () => end("remove journal", REMOVE),
  };
}

/** What the complete operations of a job have made is no longer the job's to remove. */
export const keepMade = ({ id, attempt, worker }: Owner) =>
  write("keep made", KEEP, [id, attempt, worker]);

export const isKept = ({ complete, resources }: Made) => complete && resources.length === 0;

export const superseded = () =>
  new HyperError("superseded", "another worker has taken the job over; this one leaves it alone");

/** What the attempts of a job have noted, the last first. */
export async function readMade(id: string): Promise<Made[]> {
  const read =
    "SELECT host, operation, complete, resources FROM job_journal WHERE job = $1 ORDER BY made DESC";
  const { rows } = await insist((pool) => pool.query<Made>(read, [id]));
  return rows;
}

/** That it has kept something is known until it ends, so that nobody does it again. */
export async function forgetMade(id: string) {
  const forget = "DELETE FROM job_journal WHERE job = $1 AND NOT (complete AND resources = '[]')";
  await insist((pool) => pool.query(forget, [id]));
}
