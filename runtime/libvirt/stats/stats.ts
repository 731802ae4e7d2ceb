/** The statistics of domains: the shapes of the answers, and their reading with one `domstats` for all sections. */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { NameOfDomain } from "../names.ts";
import { lines } from "../virsh-output.ts";
import { cpuUsage } from "./cpu-usage.ts";
import { domstats, type Stats, type StatsTarget } from "./domstats.ts";
import { describeStats } from "./sections.ts";
import { Cpu, Memory, SECTIONS, type Section } from "./shapes.ts";
import { domstatsCached } from "./slow-fields.ts";

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

/** The sections asked for, of each target, in the order of the targets. */
export async function readStats(ctx: Context, targets: StatsTarget[], sections: Section[]) {
  return describeAll(ctx, targets, sections, await domstats(ctx, targets, groupsOf(sections)));
}

/** All sections of every running domain; slow fields may be up to 10 s old (slow-fields.ts). */
export async function readRunning(ctx: Context) {
  const sections: Section[] = ["cpu", "memory", "disks", "networks"];
  const rows = lines(await ctx.virsh(["list", "--uuid", "--id", "--name", "--state-running"]));
  // rows are `UUID ID NAME`, without an ID if the domain has just stopped; virsh finds an ID in half the time of a UUID
  const targets = rows.flatMap((row) => {
    const [, id = "", name = ""] = row.match(/^\S+ (\d+) (.*)$/s) ?? [];
    return id ? [{ name, ref: id, id }] : [];
  });
  const answers = await domstatsCached(ctx, targets, groupsOf(sections));
  return (await describeAll(ctx, targets, sections, answers)) as z.output<typeof DomainStats>[];
}

/** The sections asked for, of one domain. Throws `not_found`. */
export async function readOne(ctx: Context, name: string, ref: string, sections: Section[]) {
  // CPU samples of another run of the domain must not be compared with this one's
  const id = sections.includes("cpu") ? await ctx.virsh(["domid", "--domain", ref]) : "";
  const [stats] = await readStats(ctx, [{ name, ref, id: id.trim() }], sections);
  if (!stats) throw new HyperError("not_found", `domain '${name}' not found`);
  return stats as z.output<typeof DomainStats>;
}

async function describeAll(
  ctx: Context,
  targets: StatsTarget[],
  sections: Section[],
  answers: Map<string, Stats>,
) {
  const usage = sections.includes("cpu")
    ? await cpuUsage(ctx, targets, answers)
    : new Map<string, number>();
  return targets.flatMap(({ name }) => {
    const stats = answers.get(name);
    return stats ? [{ name, ...describeStats(stats, sections, usage.get(name)) }] : [];
  });
}
