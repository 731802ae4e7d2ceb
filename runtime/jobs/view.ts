/** A job as its submitter sees it. Secrets of the input are hidden. */
import * as z from "zod";
import { redact } from "../core/redact.ts";
import { aliasOf } from "./host-key.ts";
import { type Job, NO_PROGRESS, STATES } from "./job.ts";

export const JobId = z.uuid().describe("a job's ID");

export const ProgressView = z.object({
  phase: z.string().nullable().describe("the present step"),
  percent: z
    .number()
    .nullable()
    .describe("0 to 100, as the working program tells it; null if unknown"),
  bytes: z.number().nullable(),
  total: z.number().nullable().describe("bytes in all"),
  rate: z.number().nullable().describe("percent a second, over the last minute"),
  seconds_left: z.number().nullable(),
});

export const JobView = z.object({
  id: z.string(),
  function: z.string().describe("the function's path"),
  host: z.string().describe("alias of the hypervisor"),
  state: z.enum(STATES),
  waiting_for: z.string().nullable().describe("why a queued job has not begun"),
  priority: z.number(),
  domains: z.array(z.string()),
  input: z.unknown().describe("secrets are hidden"),
  submitter: z.object({ kind: z.string(), name: z.string() }),
  schedule: z.string().nullable(),
  attempts: z.number().describe("how often it was begun"),
  worker: z.string().nullable(),
  created_at: z.string(),
  run_at: z.string(),
  started_at: z.string().nullable(),
  ended_at: z.string().nullable(),
  cancel_requested: z.boolean(),
  cancelled_by: z.string().nullable(),
  progress: ProgressView,
  http_status: z.number().nullable().describe("of the synchronous call's answer"),
  result: z
    .unknown()
    .describe("the body that the synchronous call would have answered; null before"),
  error: z.unknown().describe("the body of a failure; null without one"),
});

export const utc = (time: string) => new Date(time).toISOString();
export const utcOrNull = (time: string | null) => (time === null ? null : utc(time));

export function viewJob(job: Job, waitingFor: string | null = null): z.output<typeof JobView> {
  const { answer, submitter } = job;
  const done = job.state === "completed";
  const percent = done ? 100 : (job.progress?.percent ?? null);
  return {
    id: job.id,
    function: job.function,
    host: aliasOf(job.host),
    state: job.state,
    waiting_for: waitingFor,
    priority: job.priority,
    domains: job.domains,
    input: redact(job.input),
    submitter: { kind: submitter.kind, name: submitter.name },
    schedule: job.schedule,
    attempts: job.attempt,
    worker: job.worker,
    created_at: utc(job.created_at),
    run_at: utc(job.run_at),
    started_at: utcOrNull(job.started_at),
    ended_at: utcOrNull(job.ended_at),
    cancel_requested: job.cancel_requested_at !== null,
    cancelled_by: job.cancelled_by,
    progress: { ...NO_PROGRESS, ...job.progress, percent },
    http_status: answer?.status ?? null,
    result: done ? (answer?.body ?? null) : null,
    error: done ? null : (answer?.body ?? null),
  };
}
