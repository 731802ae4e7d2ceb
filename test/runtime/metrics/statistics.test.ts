/** From what `domstats` and `vcpuinfo` printed for a running guest to samples. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseDomstats } from "../../../runtime/libvirt/stats/domstats.ts";
import type { Sample } from "../../../runtime/metrics/names.ts";
import { cpuSamples, statisticsSamples } from "../../../runtime/metrics/statistics.ts";

const recorded = (name: string) =>
  readFileSync(join(import.meta.dirname, "recorded", name), "utf8");
const fields = () => ({ ...parseDomstats(recorded("domstats.txt"), ["g 1"]).get("g 1")?.fields });

/** `memory_stats_rss_bytes`, `vcpu_state vcpu=0`: without what all have. */
const short = (samples: Sample[]) =>
  Object.fromEntries(
    samples.map(({ name, labels: { domain, ...labels }, value }) => {
      expect(domain).toBe("g 1");
      const more = Object.entries(labels).map(([label, text]) => ` ${label}=${text}`);
      return [name.replace("libvirt_domain_", "") + more.join(""), value];
    }),
  );

test("a running guest", () => {
  const KiB = 1024;
  const block = { bytes: 0, requests: 0, time_seconds: 0 };
  const disk = (target: string, read = block) => ({
    [`block_stats_read_bytes_total target_device=${target}`]: read.bytes,
    [`block_stats_read_requests_total target_device=${target}`]: read.requests,
    [`block_stats_read_time_seconds_total target_device=${target}`]: read.time_seconds,
    [`block_stats_write_bytes_total target_device=${target}`]: 0,
    [`block_stats_write_requests_total target_device=${target}`]: 0,
    [`block_stats_write_time_seconds_total target_device=${target}`]: 0,
    [`block_stats_flush_requests_total target_device=${target}`]: 0,
    [`block_stats_flush_time_seconds_total target_device=${target}`]: 0,
  });
  expect(short(statisticsSamples("g 1", fields()))).toEqual({
    "info_state state_desc=the domain is running": 1,
    info_vstate: 1,
    info_maximum_memory_bytes: 131072 * KiB,
    info_memory_usage_bytes: 131072 * KiB,
    info_virtual_cpus: 2,
    info_cpu_time_seconds_total: 5.59,
    vcpu_current: 2,
    vcpu_maximum: 2,
    memory_stats_current_balloon_bytes: 131072 * KiB,
    memory_stats_actual_balloon_bytes: 131072 * KiB,
    memory_stats_maximum_bytes: 131072 * KiB,
    memory_stats_available_bytes: 94536 * KiB,
    memory_stats_unused_bytes: 66852 * KiB,
    memory_stats_usable_bytes: 72632 * KiB,
    memory_stats_rss_bytes: 238572 * KiB,
    memory_stats_swap_in_bytes: 0,
    memory_stats_swap_out_bytes: 0,
    memory_stats_major_fault_total: 0,
    memory_stats_minor_fault_total: 2036,
    memory_stats_hugetlb_pgalloc_total: 0,
    memory_stats_hugetlb_pgfail_total: 0,
    memory_stats_disk_caches_bytes: 2660 * KiB,
    memory_stats_disk_cache_bytes: 2660 * KiB,
    memory_stats_used_percent: (100 * (94536 - 72632)) / 94536,
    memory_stats_last_update_timestamp_seconds: 1795472134,
    "vcpu_state vcpu=0": 1,
    "vcpu_time_seconds_total vcpu=0": 3.13,
    "vcpu_wait_seconds_total vcpu=0": 0,
    "vcpu_delay_seconds_total vcpu=0": 2.810868256,
    "vcpu_state vcpu=1": 1,
    "vcpu_time_seconds_total vcpu=1": 2.04,
    "vcpu_wait_seconds_total vcpu=1": 0,
    "vcpu_delay_seconds_total vcpu=1": 2.296326453,
    ...disk("vda", { bytes: 4608, requests: 2, time_seconds: 0.000147078 }),
    "block_stats_capacity_bytes target_device=vda": 67108864,
    "block_stats_physicalsize_bytes target_device=vda": 200704,
    "block_stats_allocation target_device=vda": 0,
    ...disk("hdc"),
    "interface_stats_receive_bytes_total target_device=vnet0": 3012,
    "interface_stats_receive_packets_total target_device=vnet0": 26,
    "interface_stats_receive_errors_total target_device=vnet0": 0,
    "interface_stats_receive_drops_total target_device=vnet0": 0,
    "interface_stats_transmit_bytes_total target_device=vnet0": 2338,
    "interface_stats_transmit_packets_total target_device=vnet0": 13,
    "interface_stats_transmit_errors_total target_device=vnet0": 0,
    "interface_stats_transmit_drops_total target_device=vnet0": 0,
  });
});

describe("what is not known is left out", () => {
  const without = (...gone: string[]) => {
    const kept = Object.entries(fields()).filter(([key]) => !gone.some((one) => key.includes(one)));
    return short(statisticsSamples("g 1", Object.fromEntries(kept)));
  };

  test("without a balloon driver: no share, and no time of an update that never was", () => {
    const told = ["available", "usable", "unused", "disk_caches", "last-update"];
    const found = without(...told.map((key) => `balloon.${key}`));
    expect(Object.keys(found).filter((name) => /percent|usable|last_update/.test(name))).toEqual(
      [],
    );
    expect(found.memory_stats_rss_bytes).toBe(238572 * 1024);
    const never = { ...fields(), "balloon.last-update": "0" };
    expect(short(statisticsSamples("g 1", never))).not.toHaveProperty([
      "memory_stats_last_update_timestamp_seconds",
    ]);
  });

  test("a guest that says it has no memory: no division by it", () => {
    const empty = { ...fields(), "balloon.available": "0" };
    expect(short(statisticsSamples("g 1", empty))).not.toHaveProperty([
      "memory_stats_used_percent",
    ]);
  });

  test("a counter that is -1, unsigned", () => {
    const minus = { ...fields(), "net.0.rx.drop": `${2n ** 64n - 1n}`, "vcpu.0.wait": "-1" };
    const names = Object.keys(short(statisticsSamples("g 1", minus)));
    expect(names).not.toContain("interface_stats_receive_drops_total target_device=vnet0");
    expect(names).not.toContain("vcpu_wait_seconds_total vcpu=0");
    expect(names).toContain("vcpu_wait_seconds_total vcpu=1");
  });

  test("an interface that libvirt cannot count, and a vCPU that is not plugged in", () => {
    const told: Record<string, string> = { ...fields(), "vcpu.maximum": "4" };
    delete told["net.0.name"];
    const names = Object.keys(short(statisticsSamples("g 1", told)));
    expect(names.filter((name) => /interface|vcpu=[23]/.test(name))).toEqual([]);
  });

  test("QEMU that does not answer: state and interfaces alone", () => {
    const safe = Object.entries(fields()).filter(([key]) => /^(state|net)\./.test(key));
    const names = Object.keys(short(statisticsSamples("g 1", Object.fromEntries(safe))));
    expect(names).toHaveLength(2 + 8);
    expect(names.filter((name) => !/^(info_v?state|interface_stats_)/.test(name))).toEqual([]);
  });
});

test("a domain that is off: what it would have, and no CPU time of libvirtd's", () => {
  const off = { "state.state": "5", "cpu.time": "290000000", "vcpu.current": "2" };
  const memory = { "balloon.current": "1024", "balloon.maximum": "2048", "block.count": "0" };
  expect(short(statisticsSamples("g 1", { ...off, ...memory }))).toEqual({
    "info_state state_desc=the domain is shut off": 5,
    info_vstate: 5,
    info_maximum_memory_bytes: 2048 * 1024,
    info_memory_usage_bytes: 1024 * 1024,
    info_virtual_cpus: 2,
  });
});

test("the states in words", () => {
  const words = Array.from({ length: 8 }, (_, n) => {
    const [state] = statisticsSamples("x", { "state.state": `${n}` });
    expect(state?.value).toBe(n);
    return state?.labels.state_desc;
  });
  expect(words).toEqual([
    "no state",
    "the domain is running",
    "the domain is blocked on resource",
    "the domain is paused by user",
    "the domain is being shut down",
    "the domain is shut off",
    "the domain is crashed",
    "the domain is suspended by guest power management",
  ]);
});

test("the host CPU of each vCPU that is there", () => {
  const off = "\nVCPU:           2\nCPU:            N/A\nState:          N/A\n";
  expect(short(cpuSamples("g 1", recorded("vcpuinfo.txt") + off))).toEqual({
    "vcpu_cpu vcpu=0": 1,
    "vcpu_cpu vcpu=1": 1,
  });
});
