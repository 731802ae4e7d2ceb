/** The samples of the jobs on domains: a migration, a dump, a snapshot with memory. */
import { MAX_COMMANDS_PER_FRAME } from "../hypervisor/session-frames.ts";
import { chunks, type Target } from "../libvirt/stats/domstats.ts";
import { keyValues } from "../libvirt/virsh-output.ts";
import type { Sample } from "./names.ts";
import type { Scrape } from "./scrape.ts";

/** Milliseconds: libvirt answers at once unless there is a job. */
const PATIENCE = 1000;

/** Of domains whose QEMU answers; one that does not would hold this up too. */
export async function jobSamples({ ctx, turns }: Scrape, targets: Target[]): Promise<Sample[]> {
  const each = await turns.map(chunks(targets, MAX_COMMANDS_PER_FRAME), async (some) => {
    const commands = some.map(({ ref }) => ["domjobinfo", "--domain", ref, "--rawstats"]);
    const said = await ctx.virsh.settled(commands, { timeout: PATIENCE });
    return some.flatMap(({ name }, i) => {
      const text = said[i];
      return typeof text === "string" ? samplesOf(name, keyValues(text)) : [];
    });
  });
  return each.flat();
}

/** What virsh calls a disk is a file in the exporters' names. */
const KINDS = { data: "data", memory: "memory", disk: "file" } as const;

function samplesOf(domain: string, job: Record<string, string>): Sample[] {
  const labels = { domain };
  const type = Number(job["Job type"]);
  const samples: Sample[] = [{ name: "libvirt_domain_job_info_type", labels, value: type }];
  for (const what of ["elapsed", "remaining"] as const) {
    const ms = job[`time_${what}`];
    const name = `libvirt_domain_job_info_time_${what}_seconds` as const;
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
