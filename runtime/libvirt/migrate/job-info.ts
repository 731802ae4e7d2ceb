/** How far a migration is, and how it went, as libvirt tells. */
import * as z from "zod";
import type { ProgressUpdate } from "../../core/progress.ts";
import type { Context } from "../../hypervisor/context.ts";
import { keyValues } from "../virsh-output.ts";

export const Stats = z.object({
  total_ms: z.number().nullable(),
  downtime_ms: z.number().nullable().describe("for so long the guest stood still"),
  memory_bytes: z.number().nullable().describe("that have flowed"),
  disk_bytes: z.number().nullable().describe("that have flowed"),
});
export type Stats = z.output<typeof Stats>;

type Virsh = Pick<Context, "virsh">;

async function readInfo({ virsh }: Virsh, uuid: string, ...flags: string[]) {
  const [info] = await virsh.settled([["domjobinfo", "--domain", uuid, "--rawstats", ...flags]]);
  const values = typeof info === "string" ? keyValues(info) : {};
  return (key: string) => {
    const value = Number.parseInt(values[key] ?? "", 10);
    return Number.isNaN(value) ? null : value;
  };
}

const MIB = 2 ** 20;

/** Undefined before libvirt has anything to tell. */
export async function migrationUpdate(
  ctx: Virsh,
  uuid: string,
): Promise<ProgressUpdate | undefined> {
  const number = await readInfo(ctx, uuid);
  const [done, left] = [number("data_processed"), number("data_remaining")];
  if (done === null || left === null || done + left === 0) return undefined;
  const downtime = number("downtime");
  const expected = downtime === null ? "" : `, ${downtime} ms of downtime expected`;
  const phase = `migrating: ${Math.ceil(left / MIB)} MiB remain${expected}`;
  return { phase, percent: (done / (done + left)) * 100, bytes: done, total: done + left };
}

/**
 * Of the last migration, before the source lets the domain go: it alone has counted the disks, for which the target
 * tells 0, and after post-copy it alone tells anything. A domain without a definition is gone there.
 */
export async function readStats(source: Virsh, target: Virsh, uuid: string): Promise<Stats> {
  const read = (ctx: Virsh) => readInfo(ctx, uuid, "--completed", "--keep-completed");
  const [here, there] = await Promise.all([read(source), read(target)]);
  const number = (key: string) => there(key) ?? here(key);
  return {
    total_ms: number("time_elapsed"),
    downtime_ms: number("downtime"),
    memory_bytes: number("memory_processed"),
    disk_bytes: here("disk_processed"),
  };
}
