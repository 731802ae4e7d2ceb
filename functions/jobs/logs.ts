/** GET /jobs/logs: what a job has logged; with `follow`, as it comes. */
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { ownerOf } from "#runtime/function/job-access.ts";
import { ENDED } from "#runtime/jobs/job.ts";
import { type LogLine, readJob, readLog } from "#runtime/jobs/query.ts";
import { JobId, utc } from "#runtime/jobs/view.ts";

const Line = z.object({
  time: z.string(),
  attempt: z.number().describe("how often the job had begun"),
  level: z.string(),
  message: z.string(),
  fields: z.unknown(),
});

const FOLLOW_MS = 500;
const MAX_LINES = 1000;

export default defineFunction({
  method: "GET",
  alias: "/jobs/logs/:id",
  access: "read",
  summary: "Show what a job has logged",
  scope: "server",
  stream: { when: "follow", events: Line },
  input: z.strictObject({
    id: JobId,
    after: z
      .string()
      .regex(/^\d{1,18}$/, "must be the cursor of an earlier answer")
      .default("0")
      .describe("the cursor of an earlier answer, for the lines that follow"),
    limit: z.int().min(1).max(10_000).default(MAX_LINES).describe("lines at most"),
    follow: z.boolean().default(false).describe("a stream of lines until the job has ended"),
  }),
  output: z.object({
    id: z.string(),
    lines: z.array(Line),
    cursor: z.string().describe("as `after`, it asks for the lines that follow"),
  }),
  message: ({ lines }) => `${lines.length} lines`,
  examples: [{ id: "7f6d2c1e-3c7a-4d57-9c39-0e1f6a1b2c3d", limit: 100 }],

  async run({ id, after, limit, follow }, ctx) {
    const owner = ownerOf(ctx.caller);
    await readJob(id, owner);
    if (follow) return followLog(id, after, ctx.signal);
    const lines = await readLog(id, after, limit);
    return { id, lines: lines.map(shown), cursor: lines.at(-1)?.line ?? after };
  },
});

const shown = ({ line: _, time, ...rest }: LogLine) => ({ time: utc(time), ...rest });

/** The ID of each event is its line, so that `after` can go on from there. */
async function* followLog(id: string, after: string, signal: AbortSignal) {
  for (let last = after; !signal.aborted; ) {
    const { state } = await readJob(id, undefined); // before the lines, so that none comes after the last look
    const lines = await readLog(id, last, MAX_LINES);
    for (const line of lines) yield { id: line.line, data: shown(line) };
    last = lines.at(-1)?.line ?? last;
    if (ENDED.includes(state) && lines.length < MAX_LINES) return;
    await sleep(FOLLOW_MS, undefined, { signal }).catch(() => {});
  }
}
