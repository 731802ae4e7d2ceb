/** The shapes of a domain's statistics. The names have the units; an unknown value is null. */
import * as z from "zod";

const Count = z.number().nullable();
const Percent = z.number().min(0).max(100).nullable();

export const Cpu = z.object({
  vcpus: Count,
  cpu_time_ns: Count,
  user_time_ns: Count,
  system_time_ns: Count,
  usage_percent: Percent.describe("share of all vCPUs between two samples"),
});

export const Memory = z.object({
  total_kb: Count.describe("KiB that the guest has"),
  used_kb: Count,
  available_kb: Count.describe("KiB that the guest can use without swapping"),
  usage_percent: Percent,
  swap_in_kb: Count.describe("KiB since the guest started"),
  swap_out_kb: Count,
});

export const Disk = z.object({
  device: z.string(),
  read_bytes: Count,
  read_requests: Count,
  write_bytes: Count,
  write_requests: Count,
  errors: Count,
});

export const Network = z.object({
  interface: z.string(),
  rx_bytes: Count,
  rx_packets: Count,
  rx_errors: Count,
  rx_dropped: Count,
  tx_bytes: Count,
  tx_packets: Count,
  tx_errors: Count,
  tx_dropped: Count,
});

/** The sections of an answer, and the groups of `domstats` that they need. */
export const SECTIONS = {
  cpu: { shape: Cpu, groups: ["--cpu-total", "--vcpu"] },
  memory: { shape: Memory, groups: ["--balloon"] },
  disks: { shape: z.array(Disk), groups: ["--block"] },
  networks: { shape: z.array(Network), groups: ["--interface"] },
} as const;

export type Section = keyof typeof SECTIONS;
