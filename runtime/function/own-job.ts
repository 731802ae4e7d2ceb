/** Functions that are jobs whenever they are called, as users of the original know them: 202, and an ID to ask with. */
import * as z from "zod";
import { HyperError } from "../core/errors.ts";
import type { Context } from "../hypervisor/context.ts";
import type { Job, State } from "../jobs/job.ts";
import { queryJobs, readJob } from "../jobs/query.ts";
import { submitJobs } from "../jobs/submit.ts";
import { JobId, ProgressView, viewJob } from "../jobs/view.ts";
import { ownerOf } from "./job-access.ts";
import { prepareJob } from "./prepare-job.ts";

/** Has a call of this function done as a job. */
export async function submitSelf(ctx: Context, path: string, input: object): Promise<Job> {
  const wanted = await prepareJob(ctx, { function: path, input, host: ctx.host });
  const [job] = await submitJobs([wanted]);
  if (job) return job;
  throw new HyperError("internal", "a job was not stored");
}

/** What such a function answers at once: what `Prefer: respond-async` has of any other, and more. */
export const Submitted = z.object({
  id: z.string().describe("the job's"),
  job_id: z.string().optional().describe("the same"),
  state: z.string(),
  location: z.string().describe("`GET` it to see the job"),
  status: z.string().optional().describe("the same as state"),
  message: z.string().optional(),
});

/** The fields of `Submitted`, of a new job or of the one that is at work. */
export const submitted = (id: string, state: "queued" | "completed", message: string) => ({
  ...{ id, job_id: id, state, location: `/jobs/${id}`, status: state, message },
});

/** One such job, as its own status tells. */
export const OwnJob = z.object({
  id: z.string(),
  status: z.string().describe("queued, running, cancelling, completed, failed or cancelled"),
  host: z.string(),
  input: z.unknown(),
  progress: ProgressView,
  created_at: z.string(),
  started_at: z.string().nullable(),
  ended_at: z.string().nullable(),
  result: z.unknown().describe("what it has made; null before"),
  error: z.string().nullable(),
});
export type OwnJob = z.output<typeof OwnJob>;

function viewOwn(job: Job): OwnJob {
  const { id, state, host, input, progress, result, error, ...times } = viewJob(job);
  const { created_at, started_at, ended_at } = times;
  return {
    ...{ id, status: state, host, input, progress, created_at, started_at, ended_at },
    result: (result as { data?: unknown } | null)?.data ?? null,
    error: (error as { error?: string } | null)?.error ?? null,
  };
}

/** The jobs of a function that the caller may see, the newest first. */
export async function listOwn(
  { caller }: Pick<Context, "caller">,
  path: string,
  {
    limit,
    cursor,
    states,
  }: { limit: number; cursor?: string | undefined; states?: State[] | undefined },
) {
  const page = await queryJobs({ functions: [path], states }, ownerOf(caller), { limit, cursor });
  return { jobs: page.jobs.map(viewOwn), total: page.total, cursor: page.cursor };
}

/** Throws `not_found`, also for a job of another function. */
export async function readOwn(
  { caller }: Pick<Context, "caller">,
  path: string,
  id: string,
): Promise<OwnJob> {
  const job = JobId.safeParse(id).success ? await readJob(id, ownerOf(caller)) : undefined;
  if (job?.function === path) return viewOwn(job);
  throw new HyperError("not_found", `id: no job ${id} of ${path}`);
}
