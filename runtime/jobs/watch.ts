/** The jobs that have not ended, told whenever they are another or further. */
import { setTimeout as sleep } from "node:timers/promises";
import { databaseState } from "../store/state.ts";
import { type Owner, queryJobs } from "./query.ts";
import { viewJob } from "./view.ts";

const LOOK_MS = 1000;
const MAX_JOBS = 200;

/** A private PostgreSQL is not started for it: where it does not run, there are no jobs. */
export async function* watchJobs(owner: Owner | undefined, signal: AbortSignal) {
  for (let told = ""; !signal.aborted; ) {
    const { kind, state } = databaseState();
    const isThere = kind === "server" || state === "available";
    const filter = { states: ["queued" as const, "running" as const, "cancelling" as const] };
    const found = isThere ? await queryJobs(filter, owner, { limit: MAX_JOBS }) : { jobs: [] };
    const jobs = found.jobs.map((job) => viewJob(job));
    const text = JSON.stringify(jobs);
    if (text !== told) yield { event: "jobs", data: { jobs } };
    told = text;
    await sleep(LOOK_MS, undefined, { signal }).catch(() => {});
  }
}
