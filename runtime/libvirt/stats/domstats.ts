/**
 * `domstats` for one domain or hundreds, without being held up by one whose QEMU does not answer. Everything
 * but state and interface counters asks QEMU's monitor, and a call that meets a frozen one hangs until it
 * thaws, whoever else it asked about (virsh-facts, section 8). So monitor calls go in small batches with a
 * deadline; after one is missed, `domcontrol` tells which domain is stuck, and it is left out until well.
 */
import pLimit, { type LimitFunction } from "p-limit";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { lines } from "../virsh-output.ts";

/** What to ask about: the name as libvirt has it, and the words for `--domain`. */
export interface Target {
  name: string;
  ref: string;
  /** The domain's ID where it is known: another one for each run of the domain. */
  id?: string;
}

/** `state.state=1` lines as a map, and why some are missing. */
export interface Stats {
  fields: Record<string, string>;
  /** When they were read, in milliseconds of performance.now(). */
  at: number;
  /** Set when QEMU did not answer; then only state and interface counters are there. */
  stuck?: string;
}

/** Asked of libvirtd alone, so they never hang. */
const SAFE = ["--state", "--interface"];
/** Domains in a monitor call, at most: one that hangs makes the others be asked again. */
const BATCH = 10;
/** Milliseconds. A batch takes 200 on a busy machine; people wait at most twice this. */
const DEADLINE = 1200;
/** Monitor calls at once, a hypervisor: each that hangs costs libvirtd one of its 20 workers. */
const AT_ONCE = 5;

/** Per hypervisor: the queue for monitor calls, and the domains that are set aside. */
interface Health {
  limit: LimitFunction;
  stuck: Set<string>;
}
const hosts = new Map<string, Health>();

function health(host: string): Health {
  const found = hosts.get(host) ?? { limit: pLimit(AT_ONCE), stuck: new Set() };
  hosts.set(host, found);
  return found;
}

/** The statistics of each target by its name. One that has gone meanwhile is not among them. */
export async function domstats(
  ctx: Context,
  targets: Target[],
  groups: string[],
): Promise<Map<string, Stats>> {
  const asked = [...new Set([...SAFE, ...groups])];
  if (groups.every((group) => SAFE.includes(group))) return query(ctx, targets, asked);
  const { limit, stuck } = health(ctx.host);
  await recover(ctx, targets, stuck);
  const size = Math.min(BATCH, Math.ceil(targets.length / AT_ONCE));
  const found = await Promise.all(
    chunks(targets, size).map((batch) => limit(() => ask(ctx, batch, asked, stuck))),
  );
  const answers = new Map(found.flatMap((batch) => [...batch]));
  const silent = targets.filter(({ name }) => !answers.has(name));
  const why = "QEMU does not answer its monitor; what only it knows is missing until it does";
  for (const [name, { fields, at }] of await query(ctx, silent, SAFE)) {
    answers.set(name, { fields, at, stuck: why });
  }
  return answers;
}

/**
 * Ask a batch; after a missed deadline find out who is stuck, and ask the others again. Where none is, the
 * machine may just be slow: those get more time once, and then count as silent for this answer.
 */
async function ask(ctx: Context, batch: Target[], groups: string[], stuck: Set<string>) {
  let patience = DEADLINE;
  while (patience < 10 * DEADLINE) {
    const well = batch.filter(({ name }) => !stuck.has(name));
    const answer = await attempt(ctx, well, groups, patience);
    if (answer) return answer;
    const occupied = await waiting(ctx, well, /^occupied /);
    const held = occupied.length > 0 ? occupied : await waiting(ctx, well, /^background job /);
    for (const { name } of held) {
      stuck.add(name);
      ctx.log.warn(
        { host: ctx.host, domain: name },
        "QEMU does not answer, the domain is set aside",
      );
    }
    if (held.length === 0) patience *= 4;
  }
  return new Map<string, Stats>();
}

/** Those set aside that answer again. */
async function recover(ctx: Context, targets: Target[], stuck: Set<string>) {
  const suspects = targets.filter(({ name }) => stuck.has(name));
  const still = await waiting(ctx, suspects, /^(occupied|background job) /);
  for (const suspect of suspects) if (!still.includes(suspect)) stuck.delete(suspect.name);
}

/**
 * `domcontrol` says `occupied (8.039s)` while a call waits for the monitor, and `background job (8.039s)`
 * while a snapshot or migration goes on, which mostly answers all the same.
 */
async function waiting(ctx: Context, targets: Target[], what: RegExp): Promise<Target[]> {
  const said = await ctx.virsh.settled(targets.map(({ ref }) => ["domcontrol", "--domain", ref]));
  return targets.filter((_, i) => {
    const seconds = `${said[i]}`.match(/\(([\d.]+)s\)/)?.[1];
    return what.test(`${said[i]}`) && Number(seconds) * 1000 > DEADLINE / 2;
  });
}

/** Undefined when the deadline was missed. */
async function attempt(ctx: Context, targets: Target[], groups: string[], timeout: number) {
  try {
    return await query(ctx, targets, groups, timeout);
  } catch (error) {
    if (error instanceof HyperError && error.code === "timed_out") return undefined;
    throw error;
  }
}

/** One command for all; one each for those that it says nothing sure of, or when one of them has gone. */
async function query(ctx: Context, targets: Target[], groups: string[], timeout?: number) {
  if (targets.length === 0) return new Map<string, Stats>();
  const command = (some: Target[]) => [
    "domstats",
    ...groups,
    ...some.flatMap(({ ref }) => ["--domain", ref]),
  ];
  const options = timeout ? { timeout } : {};
  const [answer] = await ctx.virsh.settled([command(targets)], options);
  if (answer instanceof HyperError && answer.code !== "not_found") throw answer;
  const names = targets.map(({ name }) => name);
  const found = typeof answer === "string" ? parseDomstats(answer, names) : new Map();
  const unsure = targets.filter(({ name }) => !found.has(name));
  if (unsure.length === 0 || targets.length === 1) return found;
  const each = await ctx.virsh.settled(
    unsure.map((target) => command([target])),
    options,
  );
  each.forEach((text, i) => {
    const name = unsure[i]?.name ?? "";
    const stats = typeof text === "string" ? parseDomstats(text, [name]).get(name) : undefined;
    if (stats) found.set(name, stats);
  });
  return found;
}

/**
 * `Domain: 'NAME'` and below it `  key=value` lines, of the names asked for. A disk's path may hold line breaks
 * and look like another domain: of several names, one that comes twice is left out.
 */
export function parseDomstats(text: string, names: string[]): Map<string, Stats> {
  const found = new Map<string, Stats>();
  const twice = new Set<string>();
  const asked = new Set(names);
  const at = performance.now();
  let fields: Record<string, string> = {};
  for (const line of lines(text)) {
    if (line.startsWith("Domain: '")) {
      const name = line.slice("Domain: '".length, -1);
      fields = {};
      if (found.has(name)) twice.add(name);
      else if (asked.has(name)) found.set(name, { fields, at });
    } else {
      const at = line.indexOf("=");
      fields[line.slice(0, at).trim()] = line.slice(at + 1);
    }
  }
  if (asked.size > 1) for (const name of twice) found.delete(name);
  return found;
}

export function chunks<T>(list: T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, i) =>
    list.slice(i * size, (i + 1) * size),
  );
}
