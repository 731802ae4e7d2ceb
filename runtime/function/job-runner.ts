/** How a worker runs the functions of this process, and removes what they made. */
import { checkCall, checkHost } from "../access/caller.ts";
import { checkDomains, checkFunction, ownPart } from "../access/domain-scope.ts";
import { presentRights } from "../access/submitter.ts";
import { errorFields, HyperError, inputError, isLost, toHyperError } from "../core/errors.ts";
import { log, logOf } from "../core/log.ts";
import { memoize } from "../core/memoize.ts";
import { settings } from "../core/settings.ts";
import { timestamp } from "../core/time.ts";
import { checkAudit } from "../http/audit.ts";
import { successBody } from "../http/envelope.ts";
import { reportJob, reportSubmitted } from "../http/report-job.ts";
import { rightsOf } from "../http/rights.ts";
import { createContext } from "../hypervisor/context.ts";
import type { Attempt } from "../jobs/attempt.ts";
import { aliasHere, aliasOf, isHere } from "../jobs/host-key.ts";
import type { Answer, Job } from "../jobs/job.ts";
import { type Made, readMade } from "../jobs/journal.ts";
import type { Runner } from "../jobs/runner.ts";
import { reach } from "../libvirt/host.ts";
import { endJobPrograms } from "../libvirt/job-programs.ts";
import { describeResource, isForLater, Resource, removeResource } from "../libvirt/resource.ts";
import { loadFunction } from "./load.ts";
import { prepareJob } from "./prepare-job.ts";

const REACH_CACHE_MS = 15_000;

export function createRunner(): Runner {
  const reachable = new Map<string, () => Promise<boolean>>();
  return {
    async reaches(host) {
      if (!isHere(host) || !Object.hasOwn(settings().hosts, aliasOf(host))) return false;
      const known = reachable.get(host) ?? memoize(() => canReach(aliasOf(host)), REACH_CACHE_MS);
      reachable.set(host, known);
      return known();
    },
    async run(attempt) {
      const answer = await run(attempt);
      if (isLost(answer.body.code)) reachable.delete(attempt.job.host); // it is looked at anew
      return answer;
    },
    isRepeatable,
    endPrograms,
    remove,
    failure: (code, message, left = []) =>
      failed(new HyperError(code, message, left.length > 0 ? { details: { left } } : {})),
    report: reportJob,
    prepare: async ({ submitter, template }) => {
      checkAudit();
      const caller = await presentRights(submitter);
      return prepareJob({ caller }, { ...template, host: aliasHere(template.host) });
    },
    submitted: reportSubmitted,
  };
}

async function canReach(host: string) {
  const { reachable, error } = await reach(createContext({ host }));
  if (!reachable)
    log.info(`jobs of hypervisor ${host} wait for a worker that can reach it: ${error}`);
  return reachable;
}

/** Calls the function with its submitter's present rights. */
async function run(attempt: Attempt): Promise<Answer> {
  const { job, signal, scope } = attempt;
  const host = aliasOf(job.host);
  const path = job.function;
  try {
    const called = await loadFunction(path);
    const { spec } = called;
    const caller = await presentRights(job.submitter);
    checkCall(caller, path, spec.access);
    checkHost(caller, host);
    const input = spec.input.safeParse(job.input);
    if (!input.success) throw inputError(input.error);
    checkFunction(caller, path, spec);
    const rights = await rightsOf(caller);
    await checkDomains(caller, rights, spec, input.data, host);
    const options = { host, signal, log: attempt.logger(logOf(job.id)), progress: attempt.report };
    const data = await called.run(input.data, options, { caller, rights, job: scope });
    const { status = 200 } = spec;
    const own = ownPart(caller, rights, spec, data, host);
    return { status, body: successBody(spec, input.data, own) };
  } catch (error) {
    return failed(toHyperError(error), error);
  }
}

function failed(error: HyperError, cause: unknown = error): Answer {
  if (error.code === "internal") log.error({ error: cause }, "a job failed");
  return { status: error.status, body: { ...errorFields(error), timestamp: timestamp() } };
}

/** A function that this version has no more, or that takes such input no more, is not done again. */
async function isRepeatable({ function: path, input }: Job) {
  const spec = await loadFunction(path)
    .then(({ spec }) => spec)
    .catch(() => undefined);
  const repeat = spec?.job?.repeat ?? false;
  if (typeof repeat === "boolean") return repeat;
  const parsed = spec?.input.safeParse(input);
  return parsed?.success === true && repeat(parsed.data as never);
}

/** On its hypervisor, and on those where it has made something. */
async function endPrograms({ id, host }: Job): Promise<string[]> {
  const hosts = new Set([host, ...(await readMade(id)).map((made) => made.host)].map(aliasOf));
  const left: string[] = [];
  for (const one of hosts) {
    try {
      await endJobPrograms(createContext({ host: one }), id);
    } catch (error) {
      if (isForLater(error)) throw error;
      left.push(`programs of the job (${(error as Error).message})`);
    }
  }
  return left;
}

/** A resource that cannot be removed is named with the reason; a hypervisor that cannot be reached is an error. */
async function remove(_job: Job, made: Made[]): Promise<string[]> {
  const left: string[] = [];
  for (const { host, resources } of made) {
    for (const resource of resources.map((one) => Resource.parse(one)).toReversed()) {
      try {
        await removeResource(createContext({ host }), resource);
      } catch (error) {
        if (isForLater(error)) throw error;
        left.push(`${describeResource(resource)} (${(error as Error).message})`);
      }
    }
  }
  return left;
}
