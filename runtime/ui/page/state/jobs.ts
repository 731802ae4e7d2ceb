/** Jobs that have not ended, as the server tells how far they are. */
import { signal } from "@preact/signals";
import type { JobHandle } from "../../../client/client.ts";
import { call, messageOf, type Told } from "./client.ts";
import { follow } from "./follow.ts";
import { notify } from "./notices.ts";

export type Job = Told<"GET /jobs/watch">["jobs"][number];

export const openJobs = signal<Job[]>([]);
/** Changes when a job begins or ends, so that lists of jobs are read again. */
export const jobChanges = signal(0);
/** Changes when a job that was begun here has ended; a short one may never have been among the open ones. */
export const endsHere = signal(0);

export const followJobs = () =>
  follow(
    { name: "GET /jobs/watch", open: (signal) => call("GET /jobs/watch", {}, { signal }) },
    ({ jobs }) => {
      const shape = (jobs: Job[]) => jobs.map(({ id, state }) => `${id} ${state}`).join();
      if (shape(jobs) !== shape(openJobs.value)) jobChanges.value++;
      openJobs.value = jobs;
      for (const id of mine) if (!jobs.some((job) => job.id === id)) void tellEnd(id);
    },
  );

/** Jobs that were begun here, whose end is told. */
const mine = new Set<string>();
/** A short job may have ended before the server told of it. */
const LOOK_MS = 1500;

/** Begins a job. True once the server has it. */
export async function begin(what: string, submit: () => Promise<JobHandle<unknown>>) {
  try {
    const { id } = await submit();
    mine.add(id);
    notify("done", `${what} has begun`);
    setTimeout(() => {
      if (!openJobs.value.some((job) => job.id === id)) void tellEnd(id);
    }, LOOK_MS);
    return true;
  } catch (error) {
    notify("error", messageOf(error));
    return false;
  }
}

async function tellEnd(id: string) {
  if (!mine.has(id)) return;
  const job = await call("GET /job", { id }).catch(() => undefined);
  if (!job || job.ended_at === null || !mine.delete(id)) return;
  jobChanges.value++;
  endsHere.value++;
  const { error } = (job.error ?? {}) as { error?: string };
  const title = titleOf(job);
  if (job.state === "completed") notify("done", `${title}: completed`);
  else if (job.state === "cancelled")
    notify("done", `${title}: cancelled, and nothing of it is left`);
  else notify("error", `${title}: ${error ?? job.state}`);
}

/** What a job does, for people: the last words of its function's path, and what it is about. */
export function titleOf({ function: path, domains, input }: Job): string {
  const words = path.replace(/^\/libvirt\//, "").replaceAll("/", " ");
  const { target, name, snapshot_name } = (input ?? {}) as Record<string, unknown>;
  const made = [target ?? snapshot_name ?? name].filter((one) => typeof one === "string");
  const about = [...new Set([...domains, ...made])].join(" → ");
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}${about && `: ${about}`}`;
}
