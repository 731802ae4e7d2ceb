/**
 * `domstats` for one domain or hundreds, without being held up by a QEMU that does not answer. Everything but
 * state and interface counters asks QEMU's monitor, and a call that meets a frozen monitor hangs until it thaws,
 * for all domains of the call (virsh-facts, section 8). So monitor calls go in small batches with a deadline;
 * after a missed one `domcontrol` tells which domain is stuck, and it is left out until it answers again.
 */
import pLimit, { type LimitFunction } from "p-limit";
import { chunks } from "../../core/chunks.ts";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { unlessGone } from "../../hypervisor/outcomes.ts";
import { findStuck, MONITOR_DEADLINE_MS, type MonitorTarget, stillStuck } from "../monitor.ts";
import { lines } from "../virsh-output.ts";

/** A domain to ask about. */
export interface StatsTarget extends MonitorTarget {
  /** The domain's ID while it runs, where known. Each run of the domain has another. */
  id?: string;
}

/** The `state.state=1` lines of one domain as a map, and why some are missing. */
export interface Stats {
  fields: Record<string, string>;
  /** The time of reading, in milliseconds of performance.now(). */
  at: number;
  /** Set when QEMU did not answer; then only state and interface counters are there. */
  stuck?: string;
}

/** libvirtd answers these by itself, so they never hang. */
const LIBVIRTD_GROUPS = ["--state", "--interface"];
/** A frozen domain makes all others of its call be asked again. */
const MAX_DOMAINS_PER_CALL = 10;
/** For each hypervisor: a call that hangs occupies one of the 20 workers of its libvirtd. */
const MAX_CONCURRENT_CALLS = 5;

/** For each hypervisor: the queue of monitor calls, and the domains that are set aside. */
interface Health {
  limit: LimitFunction;
  stuck: Set<string>;
}
const hosts = new Map<string, Health>();

function health(host: string): Health {
  const entry = hosts.get(host) ?? { limit: pLimit(MAX_CONCURRENT_CALLS), stuck: new Set() };
  hosts.set(host, entry);
  return entry;
}

/** The statistics of each target by its name, without the domains that have gone meanwhile. */
export async function domstats(
  ctx: Context,
  targets: StatsTarget[],
  groups: string[],
): Promise<Map<string, Stats>> {
  const all = [...new Set([...LIBVIRTD_GROUPS, ...groups])];
  if (groups.every((group) => LIBVIRTD_GROUPS.includes(group))) return query(ctx, targets, all);
  const { limit, stuck } = health(ctx.host);
  await recover(ctx, targets, stuck);
  const size = Math.min(MAX_DOMAINS_PER_CALL, Math.ceil(targets.length / MAX_CONCURRENT_CALLS));
  const batches = await Promise.all(
    chunks(targets, size).map((batch) => limit(() => askBatch(ctx, batch, all, stuck))),
  );
  const answers = new Map(batches.flatMap((batch) => [...batch]));
  const silent = targets.filter(({ name }) => !answers.has(name));
  const why =
    "QEMU does not answer its monitor; the fields that only it knows are missing until it does";
  for (const [name, { fields, at }] of await query(ctx, silent, LIBVIRTD_GROUPS)) {
    answers.set(name, { fields, at, stuck: why });
  }
  return answers;
}

/** The text of `domstats` for all domains that are off: libvirtd knows these groups by itself. */
export async function domstatsOff({ virsh }: Context, groups: string[]): Promise<string> {
  const command = ["domstats", ...LIBVIRTD_GROUPS, ...groups, "--list-inactive"];
  const [answer] = await virsh.settled([command]);
  return unlessGone(answer) ?? "";
}

/**
 * Asks for a batch. After a missed deadline the stuck domains are found and the others asked again. If none is
 * stuck, the machine may just be slow: the batch gets more time once, then counts as silent for this answer.
 */
async function askBatch(ctx: Context, batch: StatsTarget[], groups: string[], stuck: Set<string>) {
  let timeout = MONITOR_DEADLINE_MS;
  while (timeout < 10 * MONITOR_DEADLINE_MS) {
    const well = batch.filter(({ name }) => !stuck.has(name));
    const answer = await queryInTime(ctx, well, groups, timeout);
    if (answer) return answer;
    const held = await findStuck(ctx, well);
    for (const { name } of held) stuck.add(name);
    if (held.length === 0) timeout *= 4;
  }
  return new Map<string, Stats>();
}

/** Domains that were set aside and answer again are asked as before. */
async function recover(ctx: Context, targets: StatsTarget[], stuck: Set<string>) {
  const suspects = targets.filter(({ name }) => stuck.has(name));
  const still = await stillStuck(ctx, suspects);
  for (const suspect of suspects) if (!still.includes(suspect)) stuck.delete(suspect.name);
}

/** Undefined if the deadline was missed. */
async function queryInTime(
  ctx: Context,
  targets: StatsTarget[],
  groups: string[],
  timeout: number,
) {
  try {
    return await query(ctx, targets, groups, timeout);
  } catch (error) {
    if (error instanceof HyperError && error.code === "timed_out") return undefined;
    throw error;
  }
}

/** One command for all, then one each for the domains that are missing in its answer. */
async function query(ctx: Context, targets: StatsTarget[], groups: string[], timeout?: number) {
  if (targets.length === 0) return new Map<string, Stats>();
  const command = (domains: StatsTarget[]) => [
    "domstats",
    ...groups,
    ...domains.flatMap(({ ref }) => ["--domain", ref]),
  ];
  const options = timeout ? { timeout } : {};
  const [answer] = await ctx.virsh.settled([command(targets)], options);
  if (answer instanceof HyperError && answer.code !== "not_found") throw answer;
  const names = targets.map(({ name }) => name);
  const stats = typeof answer === "string" ? parseDomstats(answer, names) : new Map();
  const missing = targets.filter(({ name }) => !stats.has(name));
  if (missing.length === 0 || targets.length === 1) return stats;
  const each = await ctx.virsh.settled(
    missing.map((target) => command([target])),
    options,
  );
  each.forEach((text, i) => {
    const name = missing[i]?.name ?? "";
    const single = typeof text === "string" ? parseDomstats(text, [name]).get(name) : undefined;
    if (single) stats.set(name, single);
  });
  return stats;
}

/**
 * Parses `Domain: 'NAME'` lines, each with `  key=value` lines below it, of the names asked for. A disk's path may
 * hold line breaks and look like another domain: of several names, a repeated one is left out.
 */
export function parseDomstats(text: string, names: string[]): Map<string, Stats> {
  const stats = new Map<string, Stats>();
  const repeated = new Set<string>();
  const asked = new Set(names);
  const at = performance.now();
  let fields: Record<string, string> = {};
  for (const line of lines(text)) {
    if (line.startsWith("Domain: '")) {
      const name = line.slice("Domain: '".length, -1);
      fields = {};
      if (stats.has(name)) repeated.add(name);
      else if (asked.has(name)) stats.set(name, { fields, at });
    } else {
      const at = line.indexOf("=");
      fields[line.slice(0, at).trim()] = line.slice(at + 1);
    }
  }
  if (asked.size > 1) for (const name of repeated) stats.delete(name);
  return stats;
}
