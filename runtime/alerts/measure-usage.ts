/** How much is used: of the CPUs and the memory of domains that run, and of storage pools. */
import type { Context } from "../hypervisor/context.ts";
import { readRunning } from "../libvirt/stats/stats.ts";
import { readPools } from "../libvirt/storage/pools.ts";
import type { Reading } from "./reading.ts";

const percent = (host: string, object: string, value: number | null, of: string): Reading => ({
  ...{ host, object, value },
  detail: value === null ? "" : `uses ${Math.round(value * 10) / 10} % of its ${of}`,
});

export const cpuUsage = async (ctx: Context) =>
  (await readRunning(ctx)).map(({ name, cpu }) =>
    percent(ctx.host, name, cpu.usage_percent, "CPUs"),
  );

export const memoryUsage = async (ctx: Context) =>
  (await readRunning(ctx)).map(({ name, memory }) =>
    percent(ctx.host, name, memory.usage_percent, "memory"),
  );

/** The use of a pool that is inactive is unknown. */
export const storageUsage = async (ctx: Context) =>
  (await readPools(ctx)).map(({ name, capacity_bytes: all, available_bytes: free }) => {
    const used = all && free !== null ? ((all - free) / all) * 100 : null;
    return percent(ctx.host, name, used, "capacity");
  });
