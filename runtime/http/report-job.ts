/** A job's life in the log, in the audit log and in the metrics. */

import { log } from "../core/log.ts";
import { observer } from "../events/bus.ts";
import type { Attempt } from "../jobs/attempt.ts";
import { aliasOf } from "../jobs/host-key.ts";
import { type Answer, ENDED, type Job, type State } from "../jobs/job.ts";
import { audit } from "./audit.ts";

const RESULTS = { completed: "done", failed: "failed", cancelled: "cancelled" } as const;

export function reportJob(
  attempt: Attempt,
  event: "started" | "taken over" | State,
  answer?: Answer,
) {
  const { job } = attempt;
  const ended = ENDED.includes(event as State);
  const since = (time: string | null) => (time === null ? 0 : Date.now() - Date.parse(time));
  const duration_ms = Math.round(ended ? since(job.started_at) : 0);
  const { code, error } = (answer?.body ?? {}) as { code?: string; error?: string };
  const host = aliasOf(job.host);
  log.info({ job: job.id, function: job.function, host, code }, `job ${job.id} ${event}`);
  if (ended) {
    const waited = since(job.created_at) - since(job.started_at);
    observer.job?.({
      path: job.function,
      state: event as State,
      waited_ms: waited,
      worked_ms: duration_ms,
    });
  }
  const { selected } = (answer?.body ?? {}) as { selected?: { domains: string[] } };
  audit({
    ...entryOf(job),
    ...(selected && { selected: selected.domains }),
    result: RESULTS[event as keyof typeof RESULTS] ?? (event as "started" | "taken over"),
    status: answer?.status ?? null,
    ...(code && { code, error }),
    duration_ms,
  });
}

/** A schedule has submitted a job. Of another job it is the line of the call that has. */
export function reportSubmitted(job: Job) {
  log.info({ job: job.id, function: job.function, schedule: job.schedule }, `job ${job.id} queued`);
  audit({ ...entryOf(job), result: "submitted", status: null, duration_ms: 0 });
}

function entryOf({ id, submitter, function: path, host, input, schedule }: Job) {
  const { kind, name } = submitter;
  return {
    time: new Date().toISOString(),
    request_id: id,
    job: id,
    ...(schedule !== null && { schedule }),
    who: { kind, name },
    address: "",
    function: path,
    host: aliasOf(host),
    arguments: input,
  };
}
