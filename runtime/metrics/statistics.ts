/** The samples of one domain, from the fields of `domstats`. An unknown value has no sample. */
import type { MetricName, Sample } from "./names.ts";

type Fields = Record<string, string>;
type Labels = Record<string, string>;
type Row = [field: string, unit: (value: number) => number, ...names: MetricName[]];

const same = (value: number) => value;
const kib = (value: number) => value * 1024;
const ns = (value: number) => value / 1e9;

/** For every domain. */
const INFO: Row[] = [
  ["state.state", same, "libvirt_domain_info_vstate"],
  ["balloon.maximum", kib, "libvirt_domain_info_maximum_memory_bytes"],
  ["balloon.current", kib, "libvirt_domain_info_memory_usage_bytes"],
  ["vcpu.current", same, "libvirt_domain_info_virtual_cpus"],
];

/** For running domains: of one that is off, some of these would be libvirtd's own. */
const RUNNING: Row[] = [
  ["cpu.time", ns, "libvirt_domain_info_cpu_time_seconds_total"],
  ["vcpu.current", same, "libvirt_domain_vcpu_current"],
  ["vcpu.maximum", same, "libvirt_domain_vcpu_maximum"],
  [
    "balloon.current",
    kib,
    "libvirt_domain_memory_stats_current_balloon_bytes",
    "libvirt_domain_memory_stats_actual_balloon_bytes",
  ],
  ["balloon.maximum", kib, "libvirt_domain_memory_stats_maximum_bytes"],
  ["balloon.available", kib, "libvirt_domain_memory_stats_available_bytes"],
  ["balloon.unused", kib, "libvirt_domain_memory_stats_unused_bytes"],
  ["balloon.usable", kib, "libvirt_domain_memory_stats_usable_bytes"],
  ["balloon.rss", kib, "libvirt_domain_memory_stats_rss_bytes"],
  ["balloon.swap_in", kib, "libvirt_domain_memory_stats_swap_in_bytes"],
  ["balloon.swap_out", kib, "libvirt_domain_memory_stats_swap_out_bytes"],
  ["balloon.major_fault", same, "libvirt_domain_memory_stats_major_fault_total"],
  ["balloon.minor_fault", same, "libvirt_domain_memory_stats_minor_fault_total"],
  ["balloon.hugetlb_pgalloc", same, "libvirt_domain_memory_stats_hugetlb_pgalloc_total"],
  ["balloon.hugetlb_pgfail", same, "libvirt_domain_memory_stats_hugetlb_pgfail_total"],
  [
    "balloon.disk_caches",
    kib,
    "libvirt_domain_memory_stats_disk_caches_bytes",
    "libvirt_domain_memory_stats_disk_cache_bytes",
  ],
];

const VCPU: Row[] = [
  ["state", same, "libvirt_domain_vcpu_state"],
  ["time", ns, "libvirt_domain_vcpu_time_seconds_total"],
  ["wait", ns, "libvirt_domain_vcpu_wait_seconds_total"],
  ["delay", ns, "libvirt_domain_vcpu_delay_seconds_total"],
];

const BLOCK: Row[] = [
  ["rd.bytes", same, "libvirt_domain_block_stats_read_bytes_total"],
  ["rd.reqs", same, "libvirt_domain_block_stats_read_requests_total"],
  ["rd.times", ns, "libvirt_domain_block_stats_read_time_seconds_total"],
  ["wr.bytes", same, "libvirt_domain_block_stats_write_bytes_total"],
  ["wr.reqs", same, "libvirt_domain_block_stats_write_requests_total"],
  ["wr.times", ns, "libvirt_domain_block_stats_write_time_seconds_total"],
  ["fl.reqs", same, "libvirt_domain_block_stats_flush_requests_total"],
  ["fl.times", ns, "libvirt_domain_block_stats_flush_time_seconds_total"],
  ["capacity", same, "libvirt_domain_block_stats_capacity_bytes"],
  ["physical", same, "libvirt_domain_block_stats_physicalsize_bytes"],
  ["allocation", same, "libvirt_domain_block_stats_allocation"],
];

const NET: Row[] = [
  ["rx.bytes", same, "libvirt_domain_interface_stats_receive_bytes_total"],
  ["rx.pkts", same, "libvirt_domain_interface_stats_receive_packets_total"],
  ["rx.errs", same, "libvirt_domain_interface_stats_receive_errors_total"],
  ["rx.drop", same, "libvirt_domain_interface_stats_receive_drops_total"],
  ["tx.bytes", same, "libvirt_domain_interface_stats_transmit_bytes_total"],
  ["tx.pkts", same, "libvirt_domain_interface_stats_transmit_packets_total"],
  ["tx.errs", same, "libvirt_domain_interface_stats_transmit_errors_total"],
  ["tx.drop", same, "libvirt_domain_interface_stats_transmit_drops_total"],
];

/** `state.state` in the exporters' words. */
const STATE_DESCRIPTIONS = [
  "no state",
  "the domain is running",
  "the domain is blocked on resource",
  "the domain is paused by user",
  "the domain is being shut down",
  "the domain is shut off",
  "the domain is crashed",
  "the domain is suspended by guest power management",
];

export function statisticsSamples(domain: string, fields: Fields): Sample[] {
  const state = parse(fields["state.state"]) ?? 0;
  const labels = { domain };
  const described = { domain, state_desc: STATE_DESCRIPTIONS[state] ?? "no state" };
  const info: Sample[] = [
    { name: "libvirt_domain_info_state", labels: described, value: state },
    ...read(fields, "", INFO, labels),
  ];
  if (state === 5 || state === 6) return info;
  const vcpus = Array.from({ length: Number(fields["vcpu.maximum"] ?? 0) }, (_, n) => `${n}`);
  return [
    ...info,
    ...read(fields, "", RUNNING, labels),
    ...memory(fields, labels),
    ...vcpus.flatMap((vcpu) => read(fields, `vcpu.${vcpu}.`, VCPU, { domain, vcpu })),
    ...devices(fields, "block", BLOCK, labels),
    ...devices(fields, "net", NET, labels),
  ];
}

function read(fields: Fields, prefix: string, rows: Row[], labels: Labels): Sample[] {
  return rows.flatMap(([field, unit, ...names]) => {
    const value = parse(fields[prefix + field]);
    return value === undefined ? [] : names.map((name) => ({ name, labels, value: unit(value) }));
  });
}

/** libvirt counts up to 2^63. A greater value is a -1, which stands for "not counted". */
function parse(text: string | undefined): number | undefined {
  const value = Number(text);
  return text !== undefined && value >= 0 && value < 2 ** 63 ? value : undefined;
}

/** `last-update` is 0 until the guest's balloon driver has reported. */
function memory(fields: Fields, labels: Labels): Sample[] {
  const available = parse(fields["balloon.available"]);
  const usable = parse(fields["balloon.usable"]);
  const updated = parse(fields["balloon.last-update"]);
  const samples: Sample[] = [];
  if (available && usable !== undefined) {
    const value = ((available - usable) / available) * 100;
    samples.push({ name: "libvirt_domain_memory_stats_used_percent", labels, value });
  }
  if (updated) {
    const name = "libvirt_domain_memory_stats_last_update_timestamp_seconds";
    samples.push({ name, labels, value: updated });
  }
  return samples;
}

/** An interface without counters, such as one in QEMU's user mode, has no name in `domstats`. */
function devices(fields: Fields, group: string, rows: Row[], labels: Labels): Sample[] {
  const count = Number(fields[`${group}.count`] ?? 0);
  return Array.from({ length: count }, (_, i) => `${group}.${i}.`).flatMap((prefix) => {
    const target_device = fields[`${prefix}name`];
    if (target_device === undefined) return [];
    return read(fields, prefix, rows, { ...labels, target_device });
  });
}

/** From the text of `vcpuinfo`, in which an offline vCPU has no CPU. */
export function cpuSamples(domain: string, vcpuinfo: string): Sample[] {
  return [...vcpuinfo.matchAll(/^VCPU: +(\d+)\nCPU: +(\d+)$/gm)].map(([, vcpu = "", cpu]) => ({
    name: "libvirt_domain_vcpu_cpu",
    labels: { domain, vcpu },
    value: Number(cpu),
  }));
}
