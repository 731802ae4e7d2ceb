/** With `npm run test:jobs` every slow function is called as a job, and answers as the synchronous call does. */
import { mkdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Answer } from "./server.ts";

const SLOW =
  /^\/(import\/kvm|libvirt\/(clone|domain\/create|template\/(create|deploy|export)|volume\/|snapshot\/|batch\/))/;

export const asJobs = process.env.HYPERSDK_JOBS === "1";

/** For the titles of tests that do not apply to jobs, which a run prints where they are left out. */
export const NOT_AS_JOB =
  "(of a call: a job goes on without its caller, and is done again when its server is killed)";

export const isAsJob = (path: string, init: RequestInit = {}) =>
  asJobs && SLOW.test(path) && !init.signal;

/** Waits for the job of a 202; another answer, such as that to bad input, is returned as it is. */
export async function jobAnswer(
  submitted: Answer,
  get: (path: string) => Promise<Answer>,
): Promise<Answer> {
  const { status, headers } = submitted;
  if (status !== 202) return submitted;
  for (;;) {
    const { body } = await get(`${headers.get("Location")}`);
    const { state, http_status, result, error } = body.data;
    if (["completed", "failed", "cancelled"].includes(state))
      return { status: http_status, headers, body: result ?? error };
    await sleep(20);
  }
}

const inUse = new Set<string>();

/** Two servers with one database would do each other's jobs, so that the second one has a state of its own. */
export function ownState({ XDG_STATE_HOME = "" }: Record<string, string>) {
  const isTaken = asJobs && inUse.has(XDG_STATE_HOME);
  const state = isTaken ? `/run/state-${crypto.randomUUID()}` : XDG_STATE_HOME;
  if (isTaken) mkdirSync(state, { mode: 0o755 }); // PostgreSQL's user enters it
  inUse.add(state);
  return { env: state ? { XDG_STATE_HOME: state } : {}, release: () => inUse.delete(state) };
}
