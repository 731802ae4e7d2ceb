/** How far the block jobs of a running domain are, as QEMU tells while the command runs. */
import type { ProgressUpdate } from "../../core/progress.ts";
import type { Context } from "../../hypervisor/context.ts";
import { watched } from "../watch.ts";

/** What `blockjob --raw` tells of each disk: of those with a job, how much is done of all their work. */
export function blockJobUpdate(phase: string, infos: string[]): ProgressUpdate | undefined {
  const jobs = infos.flatMap((info) => {
    const [, done] = /^ *cur=(\d+)$/m.exec(info) ?? [];
    const [, end] = /^ *end=(\d+)$/m.exec(info) ?? [];
    return done && Number(end) > 0 ? [{ done: Number(done), end: Number(end) }] : [];
  });
  const bytes = jobs.reduce((sum, { done }) => sum + done, 0);
  const total = jobs.reduce((sum, { end }) => sum + end, 0);
  return total > 0 ? { phase, percent: (bytes / total) * 100, bytes, total } : undefined;
}

/** Runs a command that commits, pulls or copies these disks of the domain. */
export function whileBlockJobs<T>(
  ctx: Context,
  { domain, disks, phase }: { domain: string; disks: string[]; phase: string },
  work: () => Promise<T>,
) {
  ctx.progress({ phase, percent: null });
  const commands = disks.map((disk) => ["blockjob", "--domain", domain, "--path", disk, "--raw"]);
  const look = async () => {
    const infos = await ctx.virsh.settled(commands);
    return blockJobUpdate(
      phase,
      infos.filter((info) => typeof info === "string"),
    );
  };
  return watched(ctx, look, work);
}
