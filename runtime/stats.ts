/** A domain's statistics, from the fields of `domstats` (virsh-facts, section 8). What cannot be known is null. */
import * as z from "zod";
import type { Context } from "./context.ts";
import { cpuUsage } from "./cpu-usage.ts";
import { domstats, type Stats, type Target } from "./domstats.ts";
import { HyperError } from "./errors.ts";

const Count = z.number().nullable();
const Percent = z.number().min(0).max(100).nullable();

const Cpu = z.object({
  vcpus: Count,
  cpu_time_ns: Count,
  user_time_ns: Count,
  system_time_ns: Count,
  usage_percent: Percent.describe("share of all vCPUs between two samples"),
});

const Memory = z.object({
  total_kb: Count.describe("KiB that the guest has"),
  used_kb: Count,
  available_kb: Count.describe("KiB that the guest can use without swapping"),
  usage_percent: Percent,
  swap_in_kb: Count.describe("KiB since the guest started"),
  swap_out_kb: Count,
});

const Disk = z.object({
  device: z.string(),
  read_bytes: Count,
  read_requests: Count,
  write_bytes: Count,
  write_requests: Count,
  errors: Count,
});

const Network = z.object({
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
const SECTIONS = {
  cpu: { shape: Cpu, groups: ["--cpu-total", "--vcpu"] },
  memory: { shape: Memory, groups: ["--balloon"] },
  disks: { shape: z.array(Disk), groups: ["--block"] },
  networks: { shape: z.array(Network), groups: ["--interface"] },
} as const;

type Section = keyof typeof SECTIONS;

const Base = z.object({
  name: z.string(),
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
});

/** `state.state` of `domstats` in words. */
export const STATES = [
  "no state",
  "running",
  "blocked",
  "paused",
  "in shutdown",
  "shut off",
  "crashed",
  "pmsuspended",
];
const OFF = "the domain is not running";

/** The statistics of the targets, in their order, of the sections asked for. */
export async function readStats(ctx: Context, targets: Target[], sections: Section[]) {
  const groups = sections.flatMap((section) => [...SECTIONS[section].groups]);
  const answers = await domstats(ctx, targets, groups);
  const usage = sections.includes("cpu")
    ? await cpuUsage(ctx, targets, answers)
    : new Map<string, number>();
  return targets.flatMap(({ name }) => {
    const stats = answers.get(name);
    return stats ? [{ name, ...describe(stats, sections, usage.get(name)) }] : [];
  });
}

/** One domain's. */
export async function readOne(ctx: Context, name: string, ref: string, sections: Section[]) {
  const [found] = await readStats(ctx, [{ name, ref }], sections);
  if (!found) throw new HyperError("not_found", `domain '${name}' not found`);
  return found as z.output<typeof DomainStats>;
}

function describe({ fields, stuck }: Stats, sections: Section[], usage: number | undefined) {
  const state = STATES[Number(fields["state.state"])] ?? "no state";
  const off = state === "shut off" || state === "crashed";
  const missing = off ? OFF : stuck;
  const reasons: Record<string, string> = {};
  const found: Partial<z.input<typeof DomainStats>> = {};
  if (sections.includes("cpu")) found.cpu = cpu(fields, usage, missing, reasons);
  if (sections.includes("memory")) found.memory = memory(fields, missing, reasons);
  if (sections.includes("disks")) {
    found.disks = missing ? [] : list(fields, "block").map((key) => disk(fields, key));
    if (missing) reasons.disks = missing;
    else if (found.disks.length === 0) reasons.disks = "the domain has no disk";
    else if (found.disks.some(({ errors }) => errors === null)) {
      reasons["disks.errors"] = "libvirt does not count the I/O errors of QEMU's disks";
    }
  }
  if (sections.includes("networks")) {
    found.networks = list(fields, "net").map((key) => network(fields, key));
    if (found.networks.length === 0)
      reasons.networks = off ? OFF : "the domain has no interface with counters";
  }
  return { state, ...found, reasons };
}

type Fields = Record<string, string>;

const count = (fields: Fields, key: string) =>
  fields[key] === undefined ? null : Number(fields[key]);

/** `block` → `block.0`, `block.1` … */
function list(fields: Fields, group: "block" | "net"): string[] {
  return Array.from({ length: Number(fields[`${group}.count`] ?? 0) }, (_, i) => `${group}.${i}`);
}

function cpu(
  fields: Fields,
  usage: number | undefined,
  missing: string | undefined,
  reasons: Record<string, string>,
) {
  if (missing) reasons.cpu = missing;
  else if (usage === undefined)
    reasons["cpu.usage_percent"] = "no two samples of one run of the domain";
  const known = missing ? {} : fields; // of a domain that is off, cpu.time is libvirtd's own
  return {
    vcpus: count(fields, "vcpu.current"),
    cpu_time_ns: count(known, "cpu.time"),
    user_time_ns: count(known, "cpu.user"),
    system_time_ns: count(known, "cpu.system"),
    usage_percent: missing ? null : (usage ?? null),
  };
}

function memory(fields: Fields, missing: string | undefined, reasons: Record<string, string>) {
  const total = count(fields, "balloon.available");
  const usable = count(fields, "balloon.usable") ?? count(fields, "balloon.unused");
  const told = !missing && total !== null && usable !== null;
  if (!told) {
    reasons.memory =
      missing ??
      "the guest does not tell: it has no balloon driver, or the definition no <stats period>";
  }
  const used = told ? Math.max(0, total - usable) : null;
  return {
    total_kb: (told ? total : missing === OFF ? null : count(fields, "balloon.current")) ?? null,
    used_kb: used,
    available_kb: told ? usable : null,
    usage_percent: told && used !== null && total > 0 ? share(used, total) : null,
    swap_in_kb: told ? count(fields, "balloon.swap_in") : null,
    swap_out_kb: told ? count(fields, "balloon.swap_out") : null,
  };
}

function disk(fields: Fields, key: string): z.input<typeof Disk> {
  return {
    device: fields[`${key}.name`] ?? "",
    read_bytes: count(fields, `${key}.rd.bytes`),
    read_requests: count(fields, `${key}.rd.reqs`),
    write_bytes: count(fields, `${key}.wr.bytes`),
    write_requests: count(fields, `${key}.wr.reqs`),
    errors: count(fields, `${key}.errors`),
  };
}

function network(fields: Fields, key: string): z.input<typeof Network> {
  const way = (direction: "rx" | "tx", what: string) =>
    count(fields, `${key}.${direction}.${what}`);
  return {
    interface: fields[`${key}.name`] ?? "",
    rx_bytes: way("rx", "bytes"),
    rx_packets: way("rx", "pkts"),
    rx_errors: way("rx", "errs"),
    rx_dropped: way("rx", "drop"),
    tx_bytes: way("tx", "bytes"),
    tx_packets: way("tx", "pkts"),
    tx_errors: way("tx", "errs"),
    tx_dropped: way("tx", "drop"),
  };
}

/** In percent, two decimals, never beyond 0 to 100. */
const share = (part: number, whole: number) =>
  Math.min(100, Math.max(0, Math.round((part / whole) * 10_000) / 100));
