/** A schedule as its owner sees it. Secrets of its input are hidden. */
import * as z from "zod";
import { redact } from "../core/redact.ts";
import { timesAfter } from "./cron.ts";
import { aliasOf } from "./host-key.ts";
import { STATES } from "./job.ts";
import type { Schedule, Template } from "./schedule.ts";
import { utc, utcOrNull } from "./view.ts";

const NEXT_RUNS = 5;

export const ScheduleName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'must be up to 100 letters, digits, ".", "_" and "-"')
  .describe("a schedule's name");

export const OVERLAPS = ["skip", "queue"] as const;

export const ScheduleView = z.object({
  name: z.string(),
  cron_expr: z.string(),
  timezone: z.string(),
  job_template: z.object({
    function: z.string().describe("the function's path"),
    input: z.unknown().describe("secrets are hidden"),
    host: z.string().describe("alias of the hypervisor"),
    priority: z.number(),
  }),
  overlap: z.enum(OVERLAPS),
  catch_up: z.boolean(),
  enabled: z.boolean(),
  disabled_because: z.string().nullable(),
  created_by: z.object({ kind: z.string(), name: z.string() }),
  created_at: z.string(),
  next_runs: z.array(z.string()).describe("RFC 3339, UTC; none while it is disabled"),
  runs: z.number().describe("the jobs that it has made"),
  last_run: z.string().nullable().describe("when it made the last one"),
  last_job: z.string().nullable().describe("the ID of that job"),
  last_result: z
    .enum([...STATES, "skipped", "missed", "refused"])
    .nullable()
    .describe("the state of that job, or why there is none of the latest time"),
  last_reason: z.string().nullable().describe("why a time was skipped, missed or refused"),
});

export async function viewSchedule(schedule: Schedule): Promise<z.output<typeof ScheduleView>> {
  const { template, submitter, next_at, last_result, job_state, last_run, created_at } = schedule;
  const { name, cron_expr, timezone, overlap, catch_up } = schedule;
  const { disabled_because, runs, last_job, last_reason } = schedule;
  const enabled = next_at !== null;
  const next = enabled ? await timesAfter(schedule, new Date(), NEXT_RUNS) : [];
  return {
    ...{ name, cron_expr, timezone, job_template: viewTemplate(template), overlap, catch_up },
    ...{ enabled, disabled_because, created_at: utc(created_at) },
    created_by: { kind: submitter.kind, name: submitter.name },
    next_runs: next.map((time) => time.toISOString()),
    ...{ runs, last_run: utcOrNull(last_run), last_job },
    ...{ last_result: last_result ?? job_state, last_reason },
  };
}

const viewTemplate = ({ input, host, ...rest }: Template) => ({
  ...rest,
  host: aliasOf(host),
  input: redact(input),
});
