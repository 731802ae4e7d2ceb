/**
 * What changes seldom is not asked for each time by stats/all: the number of a domain's vCPUs, and the memory
 * of a guest that does not tell what it uses. For these libvirt asks QEMU's monitor four times, for all else
 * four times too (virsh-facts, section 8), and QEMU's answers are nearly all of what stats/all costs.
 */
import type { Context } from "../../hypervisor/context.ts";
import { domstats, type Stats, type Target } from "./domstats.ts";

type Fields = Stats["fields"];

/** Milliseconds. What is kept may be so old. */
const KEPT = 10_000;

/** By hypervisor, domain and its ID, which is another one after a restart: the fields, and when they were read. */
const kept = new Map<string, { fields: Fields; at: number }>();

/** `domstats`, asking for what changes seldom only where it is not known, or was read too long ago. */
export async function domstatsSeldom(
  ctx: Context,
  targets: Target[],
  groups: string[],
): Promise<Map<string, Stats>> {
  const now = performance.now();
  for (const [key, { at }] of kept) if (now - at > KEPT) kept.delete(key);
  const keyOf = ({ name, id }: Target) => `${ctx.host}/${name}/${id}`;
  const known = new Map(targets.map((target) => [target.name, kept.get(keyOf(target))?.fields]));
  const alike = new Map<string, Target[]>();
  for (const target of targets) {
    const asked = missing(known.get(target.name), groups).join(" ");
    alike.set(asked, [...(alike.get(asked) ?? []), target]);
  }
  const found = await Promise.all(
    [...alike].map(([asked, some]) => domstats(ctx, some, asked.split(" "))),
  );
  const answers = new Map(found.flatMap((some) => [...some]));
  for (const target of targets) {
    const stats = answers.get(target.name);
    if (!stats || stats.stuck) continue;
    const before = known.get(target.name);
    if (before) stats.fields = { ...before, ...stats.fields };
    else kept.set(keyOf(target), { fields: seldom(stats.fields), at: stats.at });
  }
  return answers;
}

/** The groups that are still to be asked for. */
function missing(known: Fields | undefined, groups: string[]): string[] {
  if (!known) return groups;
  const mute = known["balloon.current"] !== undefined;
  return groups.filter((group) => group !== "--vcpu" && !(mute && group === "--balloon"));
}

/** Of a guest that tells what it uses the numbers change, so nothing of its balloon is kept. */
function seldom(fields: Fields): Fields {
  const tells = fields["balloon.available"] !== undefined;
  const keys = Object.keys(fields).filter(
    (key) => key === "vcpu.current" || (!tells && key.startsWith("balloon.")),
  );
  return Object.fromEntries(keys.map((key) => [key, `${fields[key]}`]));
}
