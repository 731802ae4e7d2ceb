/** The sections of a domain's statistics, from the fields of `domstats`. An unknown value is null, with a reason. */
import type * as z from "zod";
import type { Stats } from "./domstats.ts";
import type { Cpu, Disk, Memory, Network, Section } from "./shapes.ts";

type Fields = Record<string, string>;
type Reasons = Record<string, string>;

/** `state.state` of `domstats` in words. */
export const DOMAIN_STATES = [
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
const UNTOLD = "it is not reported by libvirt's driver for this hypervisor";

/** One domain's sections, and the reason for each missing value. `usage`: of its vCPUs, in percent. */
export function describeStats(
  { fields, stuck }: Stats,
  sections: Section[],
  usage: number | undefined,
) {
  const state = DOMAIN_STATES[Number(fields["state.state"])] ?? "no state";
  const off = state === "shut off" || state === "crashed" ? OFF : undefined;
  const reasons: Reasons = {};
  const missing = off ?? stuck;
  const values = {
    ...(sections.includes("cpu") && { cpu: cpu(fields, usage, missing, reasons) }),
    ...(sections.includes("memory") && { memory: memory(fields, off, missing, reasons) }),
    ...(sections.includes("disks") && { disks: disks(fields, missing, reasons) }),
    ...(sections.includes("networks") && { networks: networks(fields, off, reasons) }),
  };
  return { state, ...values, reasons };
}

const count = (fields: Fields, key: string) =>
  fields[key] === undefined ? null : Number(fields[key]);

/** Adds a reason for each field that is null, or one for the whole section if all are. */
function explain(section: string, values: object, why: (field: string) => string, to: Reasons) {
  const empty = Object.entries(values).flatMap(([field, value]) => (value === null ? [field] : []));
  if (empty.length === Object.keys(values).length) to[section] = why(`${empty[0]}`);
  else for (const field of empty) to[`${section}.${field}`] = why(field);
}

function cpu(
  fields: Fields,
  usage: number | undefined,
  missing: string | undefined,
  reasons: Reasons,
): z.input<typeof Cpu> {
  const times = missing ? {} : fields; // of a domain that is off, cpu.time is libvirtd's own
  const vcpus = count(fields, "vcpu.current");
  const time = count(times, "cpu.time");
  const values = {
    vcpus,
    cpu_time_ns: time,
    user_time_ns: count(times, "cpu.user"),
    system_time_ns: count(times, "cpu.system"),
    usage_percent: missing ? null : (usage ?? null),
  };
  let unused = "no two samples of one run of the domain";
  if (vcpus === null) unused = "the number of its vCPUs is not known";
  if (time === null) unused = "its CPU time is not known";
  if (missing) reasons.cpu = missing;
  else explain("cpu", values, (field) => (field === "usage_percent" ? unused : UNTOLD), reasons);
  return values;
}

function memory(
  fields: Fields,
  off: string | undefined,
  missing: string | undefined,
  reasons: Reasons,
): z.input<typeof Memory> {
  const total = count(fields, "balloon.available");
  const usable = count(fields, "balloon.usable") ?? count(fields, "balloon.unused");
  if (missing || total === null || usable === null) {
    reasons.memory = missing ?? untoldMemory(fields);
    return {
      total_kb: off ? null : count(fields, "balloon.current"),
      used_kb: null,
      available_kb: null,
      usage_percent: null,
      swap_in_kb: null,
      swap_out_kb: null,
    };
  }
  const used = Math.max(0, total - usable);
  const values = {
    total_kb: total,
    used_kb: used,
    available_kb: usable,
    usage_percent: total > 0 ? share(used, total) : null,
    swap_in_kb: count(fields, "balloon.swap_in"),
    swap_out_kb: count(fields, "balloon.swap_out"),
  };
  const why = (field: string) =>
    field === "usage_percent"
      ? "the guest says that it has no memory"
      : "the guest's balloon driver does not tell it";
  explain("memory", values, why, reasons);
  return values;
}

/** For a running domain: `last-update` is there with a balloon, and 0 until the guest's driver has reported. */
function untoldMemory(fields: Fields): string {
  if (fields["balloon.current"] === undefined) return UNTOLD;
  const updated = fields["balloon.last-update"];
  if (updated === undefined) return "the domain has no memory balloon that could tell it";
  return updated === "0"
    ? "the guest does not tell: it has no balloon driver, or the definition no <stats period>"
    : "the guest's balloon driver does not tell it";
}

/** `block` → `block.0`, `block.1` … */
function keysOf(fields: Fields, group: "block" | "net"): string[] {
  return Array.from({ length: Number(fields[`${group}.count`] ?? 0) }, (_, i) => `${group}.${i}`);
}

function disks(fields: Fields, missing: string | undefined, reasons: Reasons) {
  const list = missing ? [] : keysOf(fields, "block").map((key) => disk(fields, key));
  if (missing) reasons.disks = missing;
  else if (fields["block.count"] === undefined) reasons.disks = UNTOLD;
  else if (list.length === 0) reasons.disks = "the domain has no disk";
  const why = (field: string) =>
    field === "errors" ? "libvirt does not count the I/O errors of QEMU's disks" : UNTOLD;
  for (const disk of list) explain("disks", { ...disk }, why, reasons);
  return list;
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

/** An interface without counters, such as one in QEMU's user mode, has no name in `domstats`. */
function networks(fields: Fields, off: string | undefined, reasons: Reasons) {
  const keys = keysOf(fields, "net");
  const counted = keys.filter((key) => fields[`${key}.name`] !== undefined);
  const list = counted.map((key) => network(fields, key));
  const uncounted = keys.length - counted.length;
  if (off) reasons.networks = off;
  else if (fields["net.count"] === undefined) reasons.networks = UNTOLD;
  else if (keys.length === 0) reasons.networks = "the domain has no interface";
  else if (uncounted > 0) {
    reasons.networks = `libvirt has no counters of ${uncounted} of the domain's ${keys.length} interfaces: it counts the traffic of interfaces with a device on the host`;
  }
  for (const nic of list) explain("networks", { ...nic }, () => UNTOLD, reasons);
  return list;
}

function network(fields: Fields, key: string): z.input<typeof Network> {
  const way = (direction: "rx" | "tx", unit: string) =>
    count(fields, `${key}.${direction}.${unit}`);
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
