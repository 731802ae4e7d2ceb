/** The space that images take, which tells how far a copy is that does not tell itself. */
import type { Progress, ProgressUpdate } from "../../core/progress.ts";
import type { Context } from "../../hypervisor/context.ts";
import { watched } from "../watch.ts";
import type { Volume } from "./volume.ts";

/** What these files take together, in bytes; undefined if one cannot be seen, or is none. */
export async function allocatedBytes(
  { exec }: Pick<Context, "exec">,
  paths: string[],
): Promise<number | undefined> {
  if (paths.length === 0) return undefined;
  const { exitCode, stdout } = await exec(["stat", "-Lc", "%b %B", "--", ...paths]);
  const taken = stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => line.split(" ").map(Number));
  const bytes = taken.reduce((sum, [blocks = 0, size = 0]) => sum + blocks * size, 0);
  return exitCode === 0 && taken.length === paths.length && bytes > 0 ? bytes : undefined;
}

export interface Filling {
  phase: string;
  /** What the copy will take; undefined where nobody knows. */
  total: number | undefined;
  progress: Progress;
}

/** Runs `work`, which has libvirtd write an image to a volume. A device takes its whole space from the start. */
export function whileFilling<T>(
  ctx: Context,
  { pool, name, type = "file" }: Pick<Volume, "pool" | "name"> & { type?: string },
  { phase, total, progress }: Filling,
  work: () => Promise<T>,
): Promise<T> {
  const look = async () => {
    if (type !== "file") return undefined;
    const [info] = await ctx.virsh.settled([
      ["vol-info", "--pool", pool, "--vol", name, "--bytes"],
    ]);
    const [, bytes] = (typeof info === "string" && /^Allocation: +(\d+) bytes$/m.exec(info)) || [];
    return bytes === undefined ? undefined : filled(phase, Number(bytes), total);
  };
  progress({ phase, percent: null });
  return watched({ log: ctx.log, progress }, look, work);
}

/** A copy that takes more than was foreseen is of another kind than its source: then nobody knows what it will take. */
export const filled = (phase: string, bytes: number, total: number | undefined): ProgressUpdate =>
  total === undefined || bytes > total
    ? { phase, percent: null, bytes }
    : { phase, percent: (bytes / total) * 100, bytes, total };
