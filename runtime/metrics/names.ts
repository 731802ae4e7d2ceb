/** The metrics of hypervisors and domains, under the names and labels of the exporters that dashboards know. */
import { counters, gauges } from "./metric.ts";
import { BLOCK, INTERFACE, LIMIT } from "./names-devices.ts";

const HYPERVISOR = {
  ...gauges("", {
    libvirt_up: "Whether the hypervisor answered in time.",
    libvirt_domains: "Number of domains, running or not.",
  }),
  ...gauges("hypervisor_running libvirtd_running libvirt_library", {
    libvirt_versions_info: "Versions of the hypervisor, of its libvirt daemon and of libvirt.",
  }),
  ...gauges("storage_pool", {
    libvirt_storage_pool_state:
      "State of the pool: 0 inactive, 1 building, 2 running, 3 degraded, 4 inaccessible.",
    libvirt_storage_pool_capacity_bytes: "Size of the pool.",
    libvirt_storage_pool_allocation_bytes: "Space of the pool that is used.",
    libvirt_storage_pool_available_bytes: "Space of the pool that is free.",
    libvirt_storage_pool_timed_out: "Whether the pool did not answer in time.",
  }),
  ...gauges("pool", {
    libvirt_pool_info_capacity_bytes: "Size of the pool.",
    libvirt_pool_info_allocation_bytes: "Space of the pool that is used.",
    libvirt_pool_info_available_bytes: "Space of the pool that is free.",
  }),
};

const INFO = {
  ...gauges("domain", {
    libvirt_domain_timed_out: "Whether the domain's statistics did not come in time.",
    libvirt_domain_info_maximum_memory_bytes: "Memory that the domain may have at most.",
    libvirt_domain_info_memory_usage_bytes: "Memory that the domain has.",
    libvirt_domain_info_virtual_cpus: "Number of the domain's vCPUs.",
    libvirt_domain_info_vstate:
      "State: 0 none, 1 running, 2 blocked, 3 paused, 4 in shutdown, 5 shut off, 6 crashed, 7 suspended by the guest.",
  }),
  ...counters("domain", {
    libvirt_domain_info_cpu_time_seconds_total: "CPU time of the domain since it was started.",
  }),
  ...gauges("domain state_desc", {
    libvirt_domain_info_state: "State as in libvirt_domain_info_vstate, and in words.",
  }),
  ...gauges("domain os_type os_type_arch os_type_machine", {
    libvirt_domain_info: "The domain's kind of machine; always 1.",
  }),
  ...gauges(
    "domain instance_name instance_id flavor_name user_name user_id project_name project_id",
    { libvirt_domain_openstack_info: "Metadata of OpenStack Nova for the domain; always 1." },
  ),
  ...gauges(
    "domain uuid instance_name flavor user_name user_uuid project_name project_uuid root_type root_uuid",
    { libvirt_domain_info_meta: "The domain's UUID and its metadata of Nova; always 1." },
  ),
};

const MEMORY = {
  ...gauges("domain", {
    libvirt_domain_memory_stats_available_bytes: "Memory that the guest sees.",
    libvirt_domain_memory_stats_unused_bytes: "Memory that the guest does not use at all.",
    libvirt_domain_memory_stats_usable_bytes: "Memory that the guest can use without swapping.",
    libvirt_domain_memory_stats_rss_bytes: "Resident memory of the domain's process.",
    libvirt_domain_memory_stats_used_percent: "Share of the guest's memory that is not usable.",
    libvirt_domain_memory_stats_current_balloon_bytes: "Memory that the domain has.",
    libvirt_domain_memory_stats_actual_balloon_bytes: "Memory that the domain has.",
    libvirt_domain_memory_stats_maximum_bytes: "Memory that the domain may have at most.",
    libvirt_domain_memory_stats_swap_in_bytes: "Bytes swapped in by the guest since it booted.",
    libvirt_domain_memory_stats_swap_out_bytes: "Bytes swapped out by the guest since it booted.",
    libvirt_domain_memory_stats_disk_caches_bytes: "The guest's disk caches.",
    libvirt_domain_memory_stats_disk_cache_bytes: "The guest's disk caches.",
    libvirt_domain_memory_stats_last_update_timestamp_seconds:
      "Time of the guest's last report of its figures.",
  }),
  ...counters("domain", {
    libvirt_domain_memory_stats_major_fault_total: "Page faults of the guest that read a disk.",
    libvirt_domain_memory_stats_minor_fault_total: "Page faults of the guest that did not.",
    libvirt_domain_memory_stats_hugetlb_pgalloc_total: "Huge pages that the guest was given.",
    libvirt_domain_memory_stats_hugetlb_pgfail_total: "Huge pages that the guest was denied.",
  }),
};

const CPU = {
  ...gauges("domain", {
    libvirt_domain_vcpu_current: "Number of the domain's vCPUs.",
    libvirt_domain_vcpu_maximum: "Number of vCPUs that the domain may have at most.",
  }),
  ...gauges("domain vcpu", {
    libvirt_domain_vcpu_state: "State of the vCPU: 0 offline, 1 running, 2 blocked.",
    libvirt_domain_vcpu_cpu: "Host CPU that the vCPU ran on last.",
  }),
  ...counters("domain vcpu", {
    libvirt_domain_vcpu_time_seconds_total: "CPU time of the vCPU.",
    libvirt_domain_vcpu_wait_seconds_total: "Time that the vCPU waited for I/O.",
    libvirt_domain_vcpu_delay_seconds_total: "Time that the vCPU waited for a host CPU.",
  }),
};

const JOB = gauges("domain", {
  libvirt_domain_job_info_type:
    "Job on the domain: 0 none, 1 bounded, 2 unbounded, 3 completed, 4 failed, 5 cancelled.",
  libvirt_domain_job_info_time_elapsed_seconds: "Time since the job began.",
  libvirt_domain_job_info_time_remaining_seconds: "Time until the job ends.",
  libvirt_domain_job_info_data_total_bytes: "All that the job handles.",
  libvirt_domain_job_info_data_processed_bytes: "What the job has handled.",
  libvirt_domain_job_info_data_remaining_bytes: "What the job has still to handle.",
  libvirt_domain_job_info_memory_total_bytes: "Memory that the job handles.",
  libvirt_domain_job_info_memory_processed_bytes: "Memory that the job has handled.",
  libvirt_domain_job_info_memory_remaining_bytes: "Memory that the job has still to handle.",
  libvirt_domain_job_info_file_total_bytes: "Disk space that the job handles.",
  libvirt_domain_job_info_file_processed_bytes: "Disk space that the job has handled.",
  libvirt_domain_job_info_file_remaining_bytes: "Disk space that the job has still to handle.",
});

export const METRICS = {
  ...HYPERVISOR,
  ...INFO,
  ...CPU,
  ...MEMORY,
  ...BLOCK,
  ...LIMIT,
  ...INTERFACE,
  ...JOB,
};

export type MetricName = keyof typeof METRICS;

export interface Sample {
  name: MetricName;
  labels: Record<string, string>;
  value: number;
}
