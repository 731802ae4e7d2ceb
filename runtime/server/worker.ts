/** The worker of this process. It begins with the first job, or with the start where there may be jobs of before. */

import { log } from "../core/log.ts";
import { settings } from "../core/settings.ts";
import { observer } from "../events/bus.ts";
import type { Worker } from "../jobs/worker.ts";
import { mayHaveData } from "../store/place.ts";
import { startLeading, stopLeading } from "./leading.ts";

const RETRY_MS = 5000;

let starting: Promise<Worker> | undefined;

/** Loads what works on jobs with the first need, since a server without jobs needs none of it. */
async function start(): Promise<Worker> {
  const [{ Worker }, { createRunner }] = await Promise.all([
    import("../jobs/worker.ts"),
    import("../function/job-runner.ts"),
  ]);
  const worker = new Worker(createRunner());
  await worker.start();
  await startLeading();
  return worker;
}

/** Throws `function_unavailable` without a database. */
export function startWorker(): Promise<Worker> {
  starting ??= start().catch((error) => {
    starting = undefined;
    throw error;
  });
  return starting;
}

/** Has jobs run in this process as soon as there are any, be they of an earlier process or of another one. */
export function workWhenNeeded() {
  if (!settings().jobs.workers) return;
  const begin = () => {
    startWorker().catch((error) => log.warn({ cause: error }, `jobs wait: ${error.message}`));
  };
  observer.submitted = begin;
  const look = () => {
    if (!starting && (settings().database.url || mayHaveData())) begin();
  };
  look();
  setInterval(look, RETRY_MS).unref();
}

/** Jobs at work have so much time to end; what has not ended then is given back, for another worker or the next start. */
export async function stopWorker(graceMs: number) {
  const worker = await starting?.catch(() => undefined);
  if (!worker) return;
  if (worker.size > 0) log.info(`ending; ${worker.size} jobs have ${graceMs / 1000} s to end`);
  await Promise.all([worker.stop(graceMs), stopLeading()]);
}
