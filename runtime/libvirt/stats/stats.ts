/** A domain's statistics: their shapes, and reading them in one `domstats` whatever is asked. */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { NameOfDomain } from "../names.ts";
import { lines } from "../virsh-output.ts";
import { cpuUsage } from "./cpu-usage.ts";
import { domstats, type Stats, type Target } from "./domstats.ts";
import { describe } from "./sections.ts";
import { Cpu, Disk, Memory, Network, SECTIONS, type Section } from "./shapes.ts";
import { domstatsSeldom } from "./slow-fields.ts";

const Base = z.object({
  name: NameOfDomain,
  state: z.string(),
  reasons: z
    .record(z.string(), z.string())
    .describe("why a field is null or a list empty, by field"),
});

/** The shape of one section's answer, as in `/libvirt/stats/cpu`. */
export const CpuStats = Base.extend({ cpu: Cpu });
export const MemoryStats = Base.extend({ memory: Memory });
export const DiskStats = Base.extend({ disks: SECTIONS.disks.shape });
export const NetworkStats = Base.extend({ networks: SECTIONS.networks.shape });
export const DomainStats = Base.extend({
  cpu: Cpu,
  memory: Memory,
  disks: SECTIONS.disks.shape,
  networks: SECTIONS.networks.shape,
}).meta({ id: "DomainStats" });

const groupsOf = (sections: Section[]) =>
  sections.flatMap((section) => [...SECTIONS[section].groups]);

/** The statistics of the targets, in their order, of the sections asked for. */
export async function readStats(ctx: Context, targets: Target[], sections: Section[]) {
  return tell(ctx, targets, sections, await domstats(ctx, targets, groupsOf(sections)));
}

/** Everything of every running domain; what changes seldom may be up to 10 s old (seldom.ts). */
export async function readRunning(ctx: Context) {
  const sections: Section[] = ["cpu", "memory", "disks", "networks"];
  const rows = lines(await ctx.virsh(["list", "--uuid", "--id", "--name", "--state-running"]));
  // `UUID ID NAME`, without an ID if it has just stopped; virsh takes an ID in half the time of a UUID
  const targets = rows.flatMap((row) => {
    const [, id = "", name = ""] = row.match(/^\S+ (\d+) (.*)$/s) ?? [];
    return id ? [{ name, ref: id, id }] : [];
  });
  const answers = await domstatsSeldom(ctx, targets, groupsOf(sections));
  return (await tell(ctx, targets, sections, answers)) as z.output<typeof DomainStats>[];
}

/** One domain's. */
export async function readOne(ctx: Context, name: string, ref: string, sections: Section[]) {
  // samples of another run must not be compared with this one's
  const id = sections.includes("cpu") ? await ctx.virsh(["domid", "--domain", ref]) : "";
  const [found] = await readStats(ctx, [{ name, ref, id: id.trim() }], sections);
  if (!found) throw new HyperError("not_found", `domain '${name}' not found`);
  return found as z.output<typeof DomainStats>;
}

async function tell(
  ctx: Context,
  targets: Target[],
  sections: Section[],
  answers: Map<string, Stats>,
) {
  const usage = sections.includes("cpu")
    ? await cpuUsage(ctx, targets, answers)
    : new Map<string, number>();
  return targets.flatMap(({ name }) => {
    const stats = answers.get(name);
    return stats ? [{ name, ...describe(stats, sections, usage.get(name)) }] : [];
  });
}
