/** The table of metrics against the exporters' names, labels and types. */
import { expect, test } from "vitest";
import { METRICS } from "../../../runtime/metrics/names.ts";

/** Labels, then names, of which each `{a,b}` stands for several. */
const EXPORTERS = `
common
- : libvirt_up
domain: libvirt_domain_info_cpu_time_seconds_total libvirt_domain_info_maximum_memory_bytes libvirt_domain_info_memory_usage_bytes libvirt_domain_info_virtual_cpus libvirt_domain_memory_stats_{available_bytes,unused_bytes,usable_bytes,rss_bytes,used_percent,major_fault_total,minor_fault_total}
domain,vcpu: libvirt_domain_vcpu_{state,time_seconds_total,wait_seconds_total,delay_seconds_total}
domain,target_device: libvirt_domain_block_stats_{read_bytes_total,read_requests_total,read_time_seconds_total,write_bytes_total,write_requests_total,write_time_seconds_total,flush_requests_total,flush_time_seconds_total,capacity_bytes} libvirt_domain_interface_stats_{receive,transmit}_{bytes,packets,errors,drops}_total
inovex
- : libvirt_domains
domain: libvirt_domain_timed_out libvirt_domain_vcpu_current libvirt_domain_vcpu_maximum libvirt_domain_memory_stats_{current_balloon_bytes,maximum_bytes,swap_in_bytes,swap_out_bytes,disk_caches_bytes,hugetlb_pgalloc_total,hugetlb_pgfail_total,last_update_timestamp_seconds} libvirt_domain_job_info_{type,time_elapsed_seconds,time_remaining_seconds} libvirt_domain_job_info_{data,memory,file}_{total,processed,remaining}_bytes
domain,state_desc: libvirt_domain_info_state
domain,os_type,os_type_arch,os_type_machine: libvirt_domain_info
domain,instance_name,instance_id,flavor_name,user_name,user_id,project_name,project_id: libvirt_domain_openstack_info
domain,disk_type,target_bus,driver_name,driver_type,driver_cache,driver_discard,source_file,source_protocol,target_device,serial: libvirt_domain_block_stats_info
domain,interface_type,source_bridge,target_device,mac_address,model_type,mtu_size: libvirt_domain_interface_stats_info
storage_pool: libvirt_storage_pool_{state,capacity_bytes,allocation_bytes,available_bytes,timed_out}
Tinkoff
domain: libvirt_domain_info_vstate libvirt_domain_memory_stats_actual_balloon_bytes libvirt_domain_memory_stats_disk_cache_bytes
domain,vcpu: libvirt_domain_vcpu_cpu
domain,uuid,instance_name,flavor,user_name,user_uuid,project_name,project_uuid,root_type,root_uuid: libvirt_domain_info_meta
domain,target_device,source_file,serial,bus,disk_type,driver_type,cache,discard: libvirt_domain_block_meta
domain,source_bridge,target_device,virtual_interface: libvirt_domain_interface_meta
domain,target_device: libvirt_domain_block_stats_{allocation,physicalsize_bytes,size_iops_bytes} libvirt_domain_block_stats_limit_{total,read,write}_{bytes,requests} libvirt_domain_block_stats_limit_burst_{total,read,write}_{bytes,requests} libvirt_domain_block_stats_limit_burst_{total,read,write}_bytes_length_seconds libvirt_domain_block_stats_limit_burst_length_{total,read,write}_requests_seconds
pool: libvirt_pool_info_{capacity,allocation,available}_bytes
hypervisor_running,libvirtd_running,libvirt_library: libvirt_versions_info
`;

function expand(word: string): string[] {
  const [all, before, inside, after] = /^(.*?)\{(.*?)\}(.*)$/.exec(word) ?? [];
  if (all === undefined) return [word];
  return (inside ?? "").split(",").flatMap((part) => expand(`${before}${part}${after}`));
}

const wanted = EXPORTERS.split("\n").flatMap((line) => {
  const [labels = "", names] = line.split(/ ?: /);
  if (!names) return [];
  const sorted = labels === "-" ? [] : labels.split(",").sort();
  return names.split(" ").flatMap((word) => expand(word).map((name) => [name, sorted] as const));
});

test("the union of two exporters' names, with their labels", () => {
  expect(wanted).toHaveLength(99);
  const ours = Object.entries(METRICS).map(([name, { labels }]) => [name, [...labels].sort()]);
  const byName = (list: (readonly [string, string[]])[]) => Object.fromEntries(list);
  expect(byName(ours as [string, string[]][])).toEqual(byName([...wanted]));
});

test("what ends with _total is a counter, all else a gauge", () => {
  for (const [name, { type }] of Object.entries(METRICS)) {
    expect(type, name).toBe(name.endsWith("_total") ? "counter" : "gauge");
  }
});
