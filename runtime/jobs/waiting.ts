/** Why a job has not begun. */
import { query } from "../store/database.ts";
import { aliasOf, isHere } from "./host-key.ts";
import type { Job } from "./job.ts";

const HOLDER = `
  SELECT lock.key, lock.job FROM job_lock AS lock, job
  WHERE job.id = $1 AND lock.job <> job.id
    AND (lock.key = ANY (job.exclusive_locks) OR (lock.key = ANY (job.shared_locks) AND NOT lock.shared))
  LIMIT 1`;

/** Null for a job that does not wait. */
export async function waitingFor({
  id,
  state,
  parked,
  run_at,
  ...job
}: Job): Promise<string | null> {
  if (state !== "queued") return null;
  if (Date.parse(run_at) > Date.now()) return "its time";
  const host = aliasOf(job.host);
  const there = isHere(job.host) ? "that can reach" : "of another machine, which it is for, with";
  if (!parked) return `a worker ${there} hypervisor ${host}`;
  const { rows } = await query<{ key: string; job: string }>(HOLDER, [id]);
  const [holder] = rows;
  if (holder?.key.startsWith("schedule:")) return `job ${holder.job} of the same schedule`;
  if (holder) return `job ${holder.job}, which works on domain ${domainOf(holder.key)}`;
  return `a place on hypervisor ${host}, which has as many jobs at work as [jobs] per_host allows`;
}

/** Of a lock's key: `host/name`, also where the hypervisor's key has a machine. */
const domainOf = (key: string) => `${aliasOf(key)}/${key.slice(key.lastIndexOf("/") + 1)}`;
