/** What a domain does in a second, from the counters of two readings. */
import type * as z from "zod";
import type { DomainStats } from "../stats/stats.ts";
import type { Measured } from "./shapes.ts";

type Stats = z.output<typeof DomainStats>;

export interface Counters {
  /** In milliseconds of performance.now(). */
  at: number;
  disk_read: number | null;
  disk_write: number | null;
  net_rx: number | null;
  net_tx: number | null;
}

/** Undefined counters stay out; null where there is none. */
function sum(values: (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length > 0 ? known.reduce((a, b) => a + b, 0) : null;
}

export const countersOf = ({ disks, networks }: Stats, at: number): Counters => ({
  at,
  disk_read: sum(disks.map(({ read_bytes }) => read_bytes)),
  disk_write: sum(disks.map(({ write_bytes }) => write_bytes)),
  net_rx: sum(networks.map(({ rx_bytes }) => rx_bytes)),
  net_tx: sum(networks.map(({ tx_bytes }) => tx_bytes)),
});

/** A counter that has gone back belongs to another run of the domain. */
export function measure(stats: Stats, now: Counters, before: Counters | undefined): Measured {
  const rate = (key: Exclude<keyof Counters, "at">) => {
    const [from, to] = [before?.[key] ?? null, now[key]];
    if (!before || from === null || to === null || to < from) return null;
    return Math.round(((to - from) / (now.at - before.at)) * 1000);
  };
  const { cpu, memory } = stats;
  return {
    vcpus: cpu.vcpus,
    cpu_percent: cpu.usage_percent === null ? null : Math.round(cpu.usage_percent * 10) / 10,
    memory_kb: memory.total_kb,
    memory_percent: memory.usage_percent === null ? null : Math.round(memory.usage_percent),
    disk_read: rate("disk_read"),
    disk_write: rate("disk_write"),
    net_rx: rate("net_rx"),
    net_tx: rate("net_tx"),
  };
}

export const UNMEASURED: Measured = {
  ...{ vcpus: null, cpu_percent: null, memory_kb: null, memory_percent: null },
  ...{ disk_read: null, disk_write: null, net_rx: null, net_tx: null },
};
