/** Moves everything off a hypervisor: each domain to the first of the others that can take it, in turn. */
import pLimit from "p-limit";
import * as z from "zod";
import { errorFields, HyperError, toHyperError } from "../../core/errors.ts";
import { inParts, type Progress, unwatched } from "../../core/progress.ts";
import type { Context } from "../../hypervisor/context.ts";
import { type HeldDomain, holdDomain, holderOf } from "../../jobs/hold.ts";
import { domainState, listDomains } from "../domain/domain.ts";
import { NameOfDomain } from "../names.ts";
import { throwIfCancelled } from "../rollback.ts";
import { readFindings } from "./compatibility.ts";
import { assertPlausible, Migration, migrate } from "./migrate.ts";
import { readSides } from "./sides.ts";
import type { MigrateWish } from "./wish.ts";

export interface DrainWish extends Omit<MigrateWish, "name" | "to"> {
  to: string[];
  concurrency: number;
}

export const Drained = z.object({
  name: NameOfDomain,
  success: z.boolean(),
  to: z.string().nullable().describe("where it is now, or would be"),
  live: z.boolean(),
  error: z.string().optional().describe("why it stays"),
  code: z.string().optional(),
  source: Migration.shape.source.optional(),
  warnings: Migration.shape.warnings.optional(),
});
type Drained = z.output<typeof Drained>;

export async function drain(ctx: Context, wish: DrainWish): Promise<Drained[]> {
  const all = await listDomains(ctx, "--all");
  const domains = all.filter(({ name }) => ctx.rights.sees(ctx.host, name));
  const parts = inParts(
    ctx.progress,
    domains.map(() => 1),
  );
  const taken = new Map(wish.to.map((to) => [to, 0]));
  const results = await pLimit(wish.concurrency).map([...domains.entries()], ([i, domain]) =>
    drainOne(ctx, domain, wish, taken, parts[i] ?? unwatched),
  );
  if (!ctx.signal.aborted) return results;
  const moved = results.filter(({ success }) => success).length;
  const text = `the job was cancelled; ${moved} of ${results.length} domains have moved`;
  throw new HyperError("cancelled", text, { details: { results } });
}

async function drainOne(
  ctx: Context,
  { name, uuid }: { name: string; uuid: string },
  wish: DrainWish,
  taken: Map<string, number>,
  progress: Progress,
): Promise<Drained> {
  let live = false;
  try {
    throwIfCancelled(ctx);
    await assertFree(ctx, wish, { host: ctx.host, name });
    live = domainState(await ctx.virsh(["dominfo", "--domain", uuid])).live;
    if (live && !wish.live)
      throw new HyperError("in_use", "it runs, and live: false moves none that does");
    const { concurrency: _, to: targets, ...rest } = wish;
    const own = { ...rest, live, ...(live ? {} : { tls: false, postcopy_after: undefined }) };
    assertPlausible(own);
    const to = await chooseTarget(ctx, { ...own, name: uuid }, targets, taken);
    if (wish.dry_run) return { name, success: true, to, live };
    await assertFree(ctx, wish, { host: to, name });
    const part: Progress = (update) => progress({ ...update, phase: `${name}: ${update.phase}` });
    const moved = await migrate({ ...ctx, progress: part }, { ...own, name: uuid, to });
    progress({ phase: `${name} has moved`, percent: 100 });
    const { source, warnings } = moved;
    return { name, success: true, to, live, source, warnings };
  } catch (error) {
    const known = toHyperError(error);
    if (known.code === "internal") ctx.log.error({ domain: name, error }, "drain");
    const { error: text, code } = errorFields(known);
    return { name, success: false, to: null, live, error: text, code };
  }
}

/** Another job that changes the domain has it until it ends; as a job, this one has it from now on. */
async function assertFree({ job }: Context, { dry_run }: DrainWish, domain: HeldDomain) {
  const holder = await (job && !dry_run ? holdDomain(job.id, domain) : holderOf(domain));
  if (holder === undefined || holder === job?.id) return;
  throw new HyperError("in_use", `job ${holder} works on domain ${domain.host}/${domain.name}`);
}

/** Of those where no check fails, the one that has been given the fewest. Throws with the reasons of all. */
async function chooseTarget(
  ctx: Context,
  wish: Omit<MigrateWish, "to">,
  targets: string[],
  taken: Map<string, number>,
): Promise<string> {
  const reasons: string[] = [];
  const count = (to: string) => taken.get(to) ?? 0;
  for (const to of targets.toSorted((a, b) => count(a) - count(b))) {
    const { checks } = await readFindings(await readSides(ctx, { ...wish, to }));
    const failed = checks.filter(({ status }) => status === "fail");
    if (failed.length === 0) {
      taken.set(to, count(to) + 1);
      return to;
    }
    reasons.push(`${to}: ${failed.map(({ item, message }) => `${item}: ${message}`).join("; ")}`);
  }
  throw new HyperError("unsupported", `no hypervisor can take it; ${reasons.join("; ")}`);
}
