/** Makes a job of a submission: the function is known, the input valid, and the caller may do it. */
import { type Caller, checkCall, checkHost } from "../access/caller.ts";
import { checkDomains, checkFunction } from "../access/domain-scope.ts";
import { HyperError, inputError } from "../core/errors.ts";
import { settings, uriOf } from "../core/settings.ts";
import { newJob } from "../http/new-job.ts";
import { rightsOf } from "../http/rights.ts";
import { unknownKeys } from "../http/validation.ts";
import type { NewJob } from "../jobs/job.ts";
import { loadFunction } from "./load.ts";

export interface Submission {
  function: string;
  input: object;
  /** @default the caller's, else the configured one */
  host?: string | undefined;
  idempotency_key?: string | undefined;
  run_at?: string | undefined;
  priority?: number;
}

/** Throws `invalid_input` with the field, and `forbidden`. */
export async function prepareJob(
  { caller }: { caller: Caller },
  submission: Submission,
): Promise<NewJob> {
  const { function: path, host = settings().default_host, run_at, priority = 0 } = submission;
  const { spec } = await findFunction(path);
  uriOf(host);
  checkCall(caller, path, spec.access);
  checkHost(caller, host);
  const parsed = spec.input.safeParse(submission.input);
  if (!parsed.success) throw withField(unknownKeys(spec, inputError(parsed.error)));
  const input = parsed.data;
  checkFunction(caller, path, spec);
  const rights = await rightsOf(caller);
  await checkDomains(caller, rights, spec, input, host);
  const job = await newJob({ path, spec, host, given: submission.input, input, caller, rights });
  const runAt = run_at === undefined ? {} : { runAt: new Date(run_at) };
  return { ...job, ...runAt, priority, key: submission.idempotency_key };
}

async function findFunction(path: string) {
  try {
    return await loadFunction(path);
  } catch (error) {
    if (!(error instanceof HyperError && error.code === "not_found")) throw error;
    const text = `function: no function ${path}; GET /capabilities lists them`;
    throw new HyperError("invalid_input", text);
  }
}

/** The fields of the input are within the field `input` of a submission. */
const withField = ({ message, details, cause }: HyperError) =>
  new HyperError("invalid_input", `input: ${message}`, { details, cause });
