/**
 * Caches the fields of `domstats` that change rarely: the number of a domain's vCPUs, and the memory of a guest
 * that does not tell what it uses. They cost libvirt four questions to QEMU's monitor, as many as all other
 * fields together (virsh-facts, section 8), and QEMU's answers are nearly all of the cost of stats/all.
 */
import type { Context } from "../../hypervisor/context.ts";
import { domstats, type Stats, type StatsTarget } from "./domstats.ts";

type Fields = Stats["fields"];

const CACHE_MS = 10_000;

/** By hypervisor, domain and its ID, which changes with a restart. `at`: the time of reading. */
const cache = new Map<string, { fields: Fields; at: number }>();

/** `domstats` that asks for the slow fields only where they are not cached. */
export async function domstatsCached(
  ctx: Context,
  targets: StatsTarget[],
  groups: string[],
): Promise<Map<string, Stats>> {
  const now = performance.now();
  for (const [key, { at }] of cache) if (now - at > CACHE_MS) cache.delete(key);
  const keyOf = ({ name, id }: StatsTarget) => `${ctx.host}/${name}/${id}`;
  const cached = new Map(targets.map((target) => [target.name, cache.get(keyOf(target))?.fields]));
  const alike = new Map<string, StatsTarget[]>();
  for (const target of targets) {
    const missing = missingGroups(cached.get(target.name), groups).join(" ");
    alike.set(missing, [...(alike.get(missing) ?? []), target]);
  }
  const parts = await Promise.all(
    [...alike].map(([missing, domains]) => domstats(ctx, domains, missing.split(" "))),
  );
  const answers = new Map(parts.flatMap((part) => [...part]));
  for (const target of targets) {
    const stats = answers.get(target.name);
    if (!stats || stats.stuck) continue;
    const before = cached.get(target.name);
    if (before) stats.fields = { ...before, ...stats.fields };
    else cache.set(keyOf(target), { fields: slowFields(stats.fields), at: stats.at });
  }
  return answers;
}

/** The groups whose fields are not all cached. */
function missingGroups(cached: Fields | undefined, groups: string[]): string[] {
  if (!cached) return groups;
  const mute = cached["balloon.current"] !== undefined;
  return groups.filter((group) => group !== "--vcpu" && !(mute && group === "--balloon"));
}

/** The memory of a guest that tells what it uses changes, so its balloon fields are not among them. */
function slowFields(fields: Fields): Fields {
  const tells = fields["balloon.available"] !== undefined;
  const keys = Object.keys(fields).filter(
    (key) => key === "vcpu.current" || (!tells && key.startsWith("balloon.")),
  );
  return Object.fromEntries(keys.map((key) => [key, `${fields[key]}`]));
}
