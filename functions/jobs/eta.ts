/** GET /jobs/eta: when a job is expected to end. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { ownerOf } from "#runtime/function/job-access.ts";
import { ENDED, STATES } from "#runtime/jobs/job.ts";
import { readJob } from "#runtime/jobs/query.ts";
import { JobId, viewJob } from "#runtime/jobs/view.ts";

export default defineFunction({
  method: "GET",
  alias: "/jobs/eta/:id",
  access: "read",
  summary: "Show when a job is expected to end",
  scope: "server",
  input: z.strictObject({ id: JobId }),
  output: z.object({
    id: z.string(),
    state: z.enum(STATES),
    percent: z.number().nullable(),
    rate: z.number().nullable().describe("percent a second, over the last minute"),
    seconds_left: z.number().nullable(),
    eta: z.string().nullable().describe("RFC 3339; null while nobody knows"),
    reason: z.string().nullable().describe("why it is not known"),
  }),
  message: ({ id, eta }) =>
    eta ? `job ${id} is expected to end at ${eta}` : `no ETA of job ${id}`,
  examples: [{ id: "7f6d2c1e-3c7a-4d57-9c39-0e1f6a1b2c3d" }],

  async run({ id }, ctx) {
    const { state, progress } = viewJob(await readJob(id, ownerOf(ctx.caller)));
    const { percent, rate, seconds_left } = progress;
    const isKnown = seconds_left !== null && state === "running";
    const eta = isKnown ? new Date(Date.now() + seconds_left * 1000).toISOString() : null;
    const reason = isKnown ? null : whyUnknown(state);
    return { id, state, percent, rate, seconds_left: isKnown ? seconds_left : null, eta, reason };
  },
});

function whyUnknown(state: (typeof STATES)[number]): string {
  if (ENDED.includes(state)) return `the job is ${state}`;
  if (state === "queued") return "the job has not begun";
  return "what works on it has not told yet how far it is";
}
