/** POST /jobs/submit: have any function that changes something run in the background. */
import * as z from "zod";
import { HyperError, toHyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { prepareJob } from "#runtime/function/prepare-job.ts";
import { Moment, Text } from "#runtime/jobs/fields.ts";
import type { NewJob } from "#runtime/jobs/job.ts";
import { submitJobs } from "#runtime/jobs/submit.ts";

const Submission = z.strictObject({
  function: z.string().describe("a function's path, such as /libvirt/clone"),
  input: z.record(z.string(), z.unknown()).default({}).describe("as the function takes it"),
  host: z.string().optional().describe("alias of the hypervisor"),
  idempotency_key: Text.min(1)
    .max(255)
    .optional()
    .describe("submitted again with the same key, it is the same job, for 24 hours"),
  run_at: Moment.optional().describe("not before then"),
  priority: z.int().min(-1000).max(1000).default(0).describe("higher ones begin first"),
});

const MAX_JOBS = 10_000;

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Submit jobs: calls of functions that run in the background",
  scope: "server",
  status: 202,
  headers: ({ job_ids }): Record<string, string> =>
    job_ids.length === 1 ? { Location: `/jobs/${job_ids[0]}` } : {},
  input: z
    .strictObject({
      ...Submission.partial().shape,
      input: z.record(z.string(), z.unknown()).optional().describe("as the function takes it"),
      priority: z.int().min(-1000).max(1000).optional().describe("higher ones begin first"),
      jobs: z.array(Submission).min(1).max(MAX_JOBS).optional().describe("several at once"),
      vm_path: z.string().optional().describe("exports this domain: its name, or host/name"),
      output_dir: z.string().optional().describe("where the export goes"),
      compress: z.boolean().optional().describe("of the export"),
    })
    .refine(
      ({ function: one, jobs, vm_path }) =>
        [one, jobs, vm_path].filter((form) => form !== undefined).length === 1,
      { error: "must have one of function, jobs and vm_path" },
    )
    .superRefine((given, ctx) => {
      for (const [field, reason] of misplaced(given))
        ctx.addIssue({ code: "custom", path: [field], message: reason });
    }),
  output: z.object({
    job_ids: z.array(z.string()),
    accepted: z.number(),
    rejected: z.number(),
    errors: z.array(z.object({ index: z.number(), error: z.string(), code: z.string() })),
  }),
  message: null,
  examples: [{ function: "/libvirt/domain/start", input: { name: "my-vm" } }],

  async run({ jobs, vm_path, output_dir, compress, ...single }, ctx) {
    const several = jobs ?? [
      vm_path === undefined
        ? Submission.parse(single)
        : exportOf(vm_path, { ...single, output_dir, compress }),
    ];
    const wanted: NewJob[] = [];
    const errors: { index: number; error: string; code: string }[] = [];
    for (const [index, submission] of several.entries()) {
      try {
        const host = submission.host ?? ctx.host;
        wanted.push(await prepareJob(ctx, { ...submission, host }));
      } catch (error) {
        if (vm_path !== undefined) throw inOriginalForm(error);
        if (!jobs) throw error;
        const { message, code } = toHyperError(error);
        errors.push({ index, error: message, code });
      }
    }
    const stored = wanted.length > 0 ? await submitJobs(wanted) : [];
    const job_ids = stored.map(({ id }) => id);
    return { job_ids, accepted: job_ids.length, rejected: errors.length, errors };
  },
});

interface Given {
  jobs?: unknown;
  vm_path?: string | undefined;
  [field: string]: unknown;
}

/** Fields that would count for nothing, with the reason: none is left out silently. */
function* misplaced({ jobs, vm_path, ...others }: Given): Generator<[string, string]> {
  for (const [field, value] of Object.entries(others)) {
    if (value === undefined || field === "function") continue;
    const isOfExport = field === "output_dir" || field === "compress";
    if (jobs !== undefined) yield [field, "does not go with jobs, each of which has its own"];
    else if (isOfExport && vm_path === undefined) yield [field, "goes with vm_path alone"];
    else if (field === "input" && vm_path !== undefined) yield [field, "does not go with vm_path"];
  }
  if (vm_path?.match(/\/.*\//)) yield ["vm_path", "must be a name, or host/name"];
}

type Export = { output_dir?: string | undefined; compress?: boolean | undefined };

/** The original's form: an export of a domain. */
function exportOf(path: string, { output_dir, compress = false, ...rest }: Export & Given) {
  const [name = "", host = rest.host] = path.split("/").reverse();
  const input = { template: name, export_path: output_dir, compress };
  return Submission.parse({ ...rest, function: "/libvirt/template/export", input, host });
}

/** An error names the field that was given. */
function inOriginalForm(error: unknown) {
  if (!(error instanceof HyperError)) return error;
  const { code, message, details, cause } = error;
  const text = message
    .replace(/^input: template\b/, "vm_path")
    .replace(/^input: export_path\b/, "output_dir");
  return new HyperError(code, text, { details, cause });
}
