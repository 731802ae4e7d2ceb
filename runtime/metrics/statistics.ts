/** The samples of one domain, from the fields of `domstats`. What is not known is left out. */
import type { MetricName, Sample } from "./names.ts";

type Fields = Record<string, string>;
type Labels = Record<string, string>;
type Row = [field: string, unit: (value: number) => number, ...names: MetricName[]];

const is = (value: number) => value;
const kib = (value: number) => value * 1024;
const ns = (value: number) => value / 1e9;

/** Of every domain. */
const INFO: Row[] = [
  ["state.state", is, "libvirt_domain_info_vstate"],
  ["balloon.maximum", kib, "libvirt_domain_info_maximum_memory_bytes"],
  ["balloon.current", kib, "libvirt_domain_info_memory_usage_bytes"],
  ["vcpu.current", is, "libvirt_domain_info_virtual_cpus"],
];

/** Of one that runs; of another, some of these would be libvirtd's own. */
const RUNNING: Row[] = [
  ["cpu.time", ns, "libvirt_domain_info_cpu_time_seconds_total"],
  ["vcpu.current", is, "libvirt_domain_vcpu_current"],
  ["vcpu.maximum", is, "libvirt_domain_vcpu_maximum"],
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
  ["balloon.major_fault", is, "libvirt_domain_memory_stats_major_fault_total"],
  ["balloon.minor_fault", is, "libvirt_domain_memory_stats_minor_fault_total"],
  ["balloon.hugetlb_pgalloc", is, "libvirt_domain_memory_stats_hugetlb_pgalloc_total"],
  ["balloon.hugetlb_pgfail", is, "libvirt_domain_memory_stats_hugetlb_pgfail_total"],
  [
    "balloon.disk_caches",
    kib,
    "libvirt_domain_memory_stats_disk_caches_bytes",
    "libvirt_domain_memory_stats_disk_cache_bytes",
  ],
];

const VCPU: Row[] = [
  ["state", is, "libvirt_domain_vcpu_state"],
  ["time", ns, "libvirt_domain_vcpu_time_seconds_total"],
  ["wait", ns, "libvirt_domain_vcpu_wait_seconds_total"],
  ["delay", ns, "libvirt_domain_vcpu_delay_seconds_total"],
];

const BLOCK: Row[] = [
  ["rd.bytes", is, "libvirt_domain_block_stats_read_bytes_total"],
  ["rd.reqs", is, "libvirt_domain_block_stats_read_requests_total"],
  ["rd.times", ns, "libvirt_domain_block_stats_read_time_seconds_total"],
  ["wr.bytes", is, "libvirt_domain_block_stats_write_bytes_total"],
  ["wr.reqs", is, "libvirt_domain_block_stats_write_requests_total"],
  ["wr.times", ns, "libvirt_domain_block_stats_write_time_seconds_total"],
  ["fl.reqs", is, "libvirt_domain_block_stats_flush_requests_total"],
  ["fl.times", ns, "libvirt_domain_block_stats_flush_time_seconds_total"],
  ["capacity", is, "libvirt_domain_block_stats_capacity_bytes"],
  ["physical", is, "libvirt_domain_block_stats_physicalsize_bytes"],
  ["allocation", is, "libvirt_domain_block_stats_allocation"],
];

const NET: Row[] = [
  ["rx.bytes", is, "libvirt_domain_interface_stats_receive_bytes_total"],
  ["rx.pkts", is, "libvirt_domain_interface_stats_receive_packets_total"],
  ["rx.errs", is, "libvirt_domain_interface_stats_receive_errors_total"],
  ["rx.drop", is, "libvirt_domain_interface_stats_receive_drops_total"],
  ["tx.bytes", is, "libvirt_domain_interface_stats_transmit_bytes_total"],
  ["tx.pkts", is, "libvirt_domain_interface_stats_transmit_packets_total"],
  ["tx.errs", is, "libvirt_domain_interface_stats_transmit_errors_total"],
  ["tx.drop", is, "libvirt_domain_interface_stats_transmit_drops_total"],
];

/** `state.state` in the exporters' words. */
const STATES = [
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
  const state = known(fields["state.state"]) ?? 0;
  const of = { domain };
  const described = { domain, state_desc: STATES[state] ?? "no state" };
  const info: Sample[] = [
    { name: "libvirt_domain_info_state", labels: described, value: state },
    ...read(fields, "", INFO, of),
  ];
  if (state === 5 || state === 6) return info;
  const vcpus = Array.from({ length: Number(fields["vcpu.maximum"] ?? 0) }, (_, n) => `${n}`);
  return [
    ...info,
    ...read(fields, "", RUNNING, of),
    ...memory(fields, of),
    ...vcpus.flatMap((vcpu) => read(fields, `vcpu.${vcpu}.`, VCPU, { domain, vcpu })),
    ...devices(fields, "block", BLOCK, of),
    ...devices(fields, "net", NET, of),
  ];
}

function read(fields: Fields, prefix: string, rows: Row[], labels: Labels): Sample[] {
  return rows.flatMap(([field, unit, ...names]) => {
    const value = known(fields[prefix + field]);
    return value === undefined ? [] : names.map((name) => ({ name, labels, value: unit(value) }));
  });
}

/** libvirt counts up to 2^63; what is above is a -1, which says that nobody counts. */
function known(text: string | undefined): number | undefined {
  const value = Number(text);
  return text !== undefined && value >= 0 && value < 2 ** 63 ? value : undefined;
}

/** `last-update` is 0 until the guest's balloon driver has told something. */
function memory(fields: Fields, labels: Labels): Sample[] {
  const available = known(fields["balloon.available"]);
  const usable = known(fields["balloon.usable"]);
  const updated = known(fields["balloon.last-update"]);
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

/** libvirt names no interface that it cannot count, such as one in QEMU's user mode. */
function devices(fields: Fields, group: string, rows: Row[], labels: Labels): Sample[] {
  const count = Number(fields[`${group}.count`] ?? 0);
  return Array.from({ length: count }, (_, i) => `${group}.${i}.`).flatMap((prefix) => {
    const target_device = fields[`${prefix}name`];
    if (target_device === undefined) return [];
    return read(fields, prefix, rows, { ...labels, target_device });
  });
}

/** From the text of `vcpuinfo`; a vCPU that is not there has no CPU. */
export function cpuSamples(domain: string, vcpuinfo: string): Sample[] {
  return [...vcpuinfo.matchAll(/^VCPU: +(\d+)\nCPU: +(\d+)$/gm)].map(([, vcpu = "", cpu]) => ({
    name: "libvirt_domain_vcpu_cpu",
    labels: { domain, vcpu },
    value: Number(cpu),
  }));
}
