/** The samples of the jobs on domains: a migration, a dump, a snapshot with memory. */
import { chunks } from "../core/chunks.ts";
import { MAX_COMMANDS_PER_FRAME } from "../hypervisor/session-frames.ts";
import type { StatsTarget } from "../libvirt/stats/domstats.ts";
import { keyValues } from "../libvirt/virsh-output.ts";
import type { Sample } from "./names.ts";
import type { Scrape } from "./scrape.ts";

/** libvirt answers at once where there is no job. */
const JOB_TIMEOUT_MS = 1000;

/** For domains whose QEMU answers: a stuck one would delay the others of its frame. */
export async function jobSamples(
  { ctx, limit }: Scrape,
  targets: StatsTarget[],
): Promise<Sample[]> {
  const samples = await limit.map(chunks(targets, MAX_COMMANDS_PER_FRAME), async (domains) => {
    const commands = domains.map(({ ref }) => ["domjobinfo", "--domain", ref, "--rawstats"]);
    const outcomes = await ctx.virsh.settled(commands, { timeout: JOB_TIMEOUT_MS });
    return domains.flatMap(({ name }, i) => {
      const text = outcomes[i];
      return typeof text === "string" ? samplesOf(name, keyValues(text)) : [];
    });
  });
  return samples.flat();
}

/** The exporters name "file" what virsh names "disk". */
const KINDS = { data: "data", memory: "memory", disk: "file" } as const;

function samplesOf(domain: string, job: Record<string, string>): Sample[] {
  const labels = { domain };
  const type = Number(job["Job type"]);
  const samples: Sample[] = [{ name: "libvirt_domain_job_info_type", labels, value: type }];
  for (const time of ["elapsed", "remaining"] as const) {
    const ms = job[`time_${time}`];
    const name = `libvirt_domain_job_info_time_${time}_seconds` as const;
    if (ms !== undefined) samples.push({ name, labels, value: Number(ms) / 1000 });
  }
  for (const kind of ["data", "memory", "disk"] as const) {
    for (const part of ["total", "processed", "remaining"] as const) {
      const bytes = job[`${kind}_${part}`];
      const name = `libvirt_domain_job_info_${KINDS[kind]}_${part}_bytes` as const;
      if (bytes !== undefined) samples.push({ name, labels, value: Number(bytes) });
    }
  }
  return samples;
}
