/** The same operation on many domains, with bounded concurrency. Each domain has its own result. */
import pLimit from "p-limit";
import * as z from "zod";
import { HyperError, INTERNAL } from "../core/errors.ts";
import { goDuration } from "../core/go-duration.ts";
import { plural } from "../core/plural.ts";
import { inParts, type Progress, unwatched } from "../core/progress.ts";
import { settings } from "../core/settings.ts";
import { timestamp } from "../core/time.ts";
import { resolveSelection, Selected } from "../http/selection.ts";
import type { Context } from "../hypervisor/context.ts";
import { domainRef } from "../libvirt/domain/domain.ts";
import { throwIfCancelled } from "../libvirt/rollback.ts";
import { nameOf, type Targets } from "./targets.ts";

/** The example of the reference. */
const EXAMPLE = {
  operation: "start",
  total: 4,
  successful: 3,
  failed: 1,
  results: [
    { domain: "vm1", success: true },
    { domain: "vm2", success: true },
    { domain: "vm3", success: true },
    { domain: "vm4", success: false, error: "domain not found" },
  ],
  start_time: "2026-01-19T12:00:00Z",
  end_time: "2026-01-19T12:00:15Z",
  duration: "15s",
};

/** The reference's batch answer. A result may say more than the reference's three fields. */
export const BatchResult = z
  .object({
    operation: z.string(),
    total: z.int(),
    successful: z.int(),
    failed: z.int(),
    results: z.array(
      z.looseObject({
        domain: z.string(),
        success: z.boolean(),
        error: z.string().optional(),
        code: z.string().optional(),
      }),
    ),
    start_time: z.iso.datetime(),
    end_time: z.iso.datetime(),
    duration: z.string().describe('such as "340ms", "1.2s", "2m5s"'),
    selected: Selected.optional().describe("what `select` stood for"),
  })
  .meta({ id: "BatchResult", examples: [EXAMPLE] });

type Extra = Record<string, unknown>;

/** Whether a domain that failed may succeed once others of the same batch are done; nothing was changed so far. */
type MayFollow = (error: HyperError) => boolean;

/** Runs `work` for each name. The results have the order of the request. */
export async function batchNames(
  ctx: Context,
  operation: string,
  names: string[],
  // biome-ignore lint/suspicious/noConfusingVoidType: the type of an async function without return
  work: (name: string, progress: Progress) => Promise<Extra | undefined | void>,
  mayFollow: MayFollow = () => false,
  concurrency = settings().batch.concurrency,
): Promise<z.input<typeof BatchResult>> {
  const [start, begun] = [timestamp(), performance.now()];
  const limit = pLimit(concurrency);
  const failed = new Map<string, unknown>();
  const count = counted(ctx.progress, operation, names);
  const run = async (name: string) => {
    try {
      if (ctx.job) throwIfCancelled(ctx); // a client that leaves stops no batch
      const extra = await work(name, count.progressOf(name));
      failed.delete(name);
      return { domain: name, success: true, ...extra };
    } catch (error) {
      failed.set(name, error);
      return { domain: name, success: false, ...failure(ctx, name, error) };
    } finally {
      count.done(name);
    }
  };
  const results = await limit.map(names, run);
  for (let left = names.length; failed.size < left; ) {
    left = failed.size;
    await limit.map([...failed], async ([name, error]) => {
      if (!(error instanceof HyperError && mayFollow(error))) return;
      results[names.indexOf(name)] = await run(name);
    });
  }
  const successful = results.filter(({ success }) => success).length;
  const total = names.length;
  if (ctx.job && ctx.signal.aborted && successful < total)
    throw stopped(`${operation}: ${successful} of ${total} were done`, results);
  const duration = goDuration(performance.now() - begun);
  return {
    operation,
    total,
    successful,
    failed: total - successful,
    results,
    start_time: start,
    end_time: timestamp(),
    duration,
  };
}

/** Domains count alike; what the work on one of them tells is its part, and its bytes are not added up. */
function counted(progress: Progress, operation: string, names: string[]) {
  const done = new Set<string>();
  const phase = () => `${operation}: ${done.size} of ${plural(names.length, "domain")} done`;
  const whole = inParts(
    (update) => progress({ ...update, phase: phase() }),
    names.map(() => 1),
  );
  const progressOf = (name: string): Progress => whole[names.indexOf(name)] ?? unwatched;
  whole[0]?.({ phase: operation, percent: 0 });
  return {
    progressOf,
    done(name: string) {
      done.add(name);
      progressOf(name)({ phase: operation, percent: 100 });
    },
  };
}

// biome-ignore lint/suspicious/noConfusingVoidType: the type of an async function without return
type Work = (domain: string, name: string) => Promise<Extra | undefined | void>;

/**
 * Runs the same work on domains that exist, which are named or selected. `onHost` is called once for each of their
 * hypervisors, and returns the work, which gets the words for `--domain` and the name of each domain.
 */
export async function batch(
  ctx: Context,
  operation: string,
  { domains, select }: Targets,
  onHost: (ctx: Context) => Work,
  mayFollow?: MayFollow,
) {
  const selected = select === undefined ? undefined : await resolveSelection(ctx, select);
  const names = selected?.domains ?? domains ?? [];
  const hosts = new Map<string, { ctx: Context; work: Work }>();
  const workFor = (text: string) => {
    const host = text.includes("/") ? text.slice(0, text.indexOf("/")) : ctx.host;
    const hostCtx = host === ctx.host ? ctx : ctx.forHost(host); // throws for an unknown host, before any work begins
    const entry = hosts.get(host) ?? {
      ctx: hostCtx,
      work: onHost({ ...hostCtx, progress: unwatched }),
    };
    hosts.set(host, entry);
    return entry;
  };
  const fullNames = names.map((text) => `${workFor(text).ctx.host}/${nameOf(text)}`);
  const repeated = fullNames.find((text, i) => fullNames.indexOf(text) !== i);
  const twice = `domains: must not name a domain twice: ${repeated}`;
  if (repeated) throw new HyperError("invalid_input", twice);
  const run = async (text: string) => {
    const { ctx: hostCtx, work } = workFor(text);
    const name = nameOf(text);
    const domain = await domainRef(hostCtx, name);
    await ctx.rights.checkAgain(hostCtx.host, name, domain); // those before it may have taken hours
    return work(domain, name);
  };
  const answer = await batchNames(ctx, operation, names, run, mayFollow);
  return selected ? { ...answer, selected } : answer;
}

const stopped = (what: string, results: object[]) =>
  new HyperError("cancelled", `the job was cancelled; ${what}`, { details: { results } });

/** One domain's failure does not stop the others. An unexpected error goes to the log alone. */
function failure({ log }: Context, domain: string, error: unknown) {
  if (error instanceof HyperError)
    return { error: error.message, code: error.code, ...error.details };
  log.error({ domain, error }, "batch");
  return { error: INTERNAL, code: "internal" };
}
