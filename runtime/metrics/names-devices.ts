/** The metrics of disks and interfaces. */
import { counters, gauges } from "./metric.ts";

export const BLOCK = {
  ...counters("domain target_device", {
    libvirt_domain_block_stats_read_bytes_total: "Bytes read from the disk.",
    libvirt_domain_block_stats_read_requests_total: "Read requests to the disk.",
    libvirt_domain_block_stats_read_time_seconds_total: "Time spent reading from the disk.",
    libvirt_domain_block_stats_write_bytes_total: "Bytes written to the disk.",
    libvirt_domain_block_stats_write_requests_total: "Write requests to the disk.",
    libvirt_domain_block_stats_write_time_seconds_total: "Time spent writing to the disk.",
    libvirt_domain_block_stats_flush_requests_total: "Flush requests to the disk.",
    libvirt_domain_block_stats_flush_time_seconds_total: "Time spent flushing the disk.",
  }),
  ...gauges("domain target_device", {
    libvirt_domain_block_stats_capacity_bytes: "Size of the disk as the guest sees it.",
    libvirt_domain_block_stats_physicalsize_bytes: "Size of the disk's image.",
    libvirt_domain_block_stats_allocation: "Highest byte of the image that was written.",
  }),
  ...gauges(
    "domain disk_type target_bus driver_name driver_type driver_cache driver_discard source_file source_protocol target_device serial",
    { libvirt_domain_block_stats_info: "The kind of the disk; always 1." },
  ),
  ...gauges("domain target_device source_file serial bus disk_type driver_type cache discard", {
    libvirt_domain_block_meta: "The kind of the disk; always 1.",
  }),
};

const WAYS = ["total", "read", "write"] as const;
type Way = (typeof WAYS)[number];

type LimitName =
  | `libvirt_domain_block_stats_limit_${"" | "burst_"}${Way}_${"bytes" | "requests"}`
  | `libvirt_domain_block_stats_limit_burst_${Way}_bytes_length_seconds`
  | `libvirt_domain_block_stats_limit_burst_length_${Way}_requests_seconds`
  | "libvirt_domain_block_stats_size_iops_bytes";

/** The elements of a disk's `<iotune>`, and the metric of each. */
export const LIMITS: [element: string, LimitName][] = [
  ...WAYS.flatMap((way): [string, LimitName][] => [
    [`${way}_bytes_sec`, `libvirt_domain_block_stats_limit_${way}_bytes`],
    [`${way}_iops_sec`, `libvirt_domain_block_stats_limit_${way}_requests`],
    [`${way}_bytes_sec_max`, `libvirt_domain_block_stats_limit_burst_${way}_bytes`],
    [`${way}_iops_sec_max`, `libvirt_domain_block_stats_limit_burst_${way}_requests`],
    [
      `${way}_bytes_sec_max_length`,
      `libvirt_domain_block_stats_limit_burst_${way}_bytes_length_seconds`,
    ],
    [
      `${way}_iops_sec_max_length`,
      `libvirt_domain_block_stats_limit_burst_length_${way}_requests_seconds`,
    ],
  ]),
  ["size_iops_sec", "libvirt_domain_block_stats_size_iops_bytes"],
];

export const LIMIT = gauges(
  "domain target_device",
  Object.fromEntries(
    LIMITS.map(([element, name]) => [
      name,
      `Limit of the disk's I/O: <${element}> of its <iotune>.`,
    ]),
  ) as Record<LimitName, string>,
);

export const INTERFACE = {
  ...counters("domain target_device", {
    libvirt_domain_interface_stats_receive_bytes_total: "Bytes received by the interface.",
    libvirt_domain_interface_stats_receive_packets_total: "Packets received by the interface.",
    libvirt_domain_interface_stats_receive_errors_total: "Errors in receiving.",
    libvirt_domain_interface_stats_receive_drops_total: "Packets dropped in receiving.",
    libvirt_domain_interface_stats_transmit_bytes_total: "Bytes sent by the interface.",
    libvirt_domain_interface_stats_transmit_packets_total: "Packets sent by the interface.",
    libvirt_domain_interface_stats_transmit_errors_total: "Errors in sending.",
    libvirt_domain_interface_stats_transmit_drops_total: "Packets dropped in sending.",
  }),
  ...gauges("domain interface_type source_bridge target_device mac_address model_type mtu_size", {
    libvirt_domain_interface_stats_info: "The kind of the interface; always 1.",
  }),
  ...gauges("domain source_bridge target_device virtual_interface", {
    libvirt_domain_interface_meta: "The kind of the interface; always 1.",
  }),
};
