/**
 * GET /metrics of a real guest: beside Debian's prometheus-libvirt-exporter and virsh at the same moment, and
 * under the eyes of promtool.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { type Read, readExposition } from "../../fixtures/exposition.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { clean, defineDomain, defineNetwork, until, virsh } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { guestSays, tinyGuestXml } from "../../lab/guest.ts";
import { prometheusTools } from "../../lab/prometheus.ts";
import { freePort } from "../../lab/sshd.ts";

const run = promisify(execFile);
const IMAGES = "/var/lib/libvirt/images";
const GUEST = `guest's "1" \\ 漢`;
const { promtool, exporter } = prometheusTools();

const { test, server } = labTest();
let exporting: ChildProcess;
let theirs: string;

const textAt = async (url: string) => {
  const response = await fetch(url);
  expect(response.status).toBe(200);
  return response.text();
};
const scrape = async (query = "?host=local") =>
  readExposition(await textAt(`${server.url}/metrics${query}`));

beforeAll(async () => {
  const address = xml`<ip address="10.78.0.1" netmask="255.255.255.0"><dhcp>
    <range start="10.78.0.10" end="10.78.0.99"/></dhcp></ip>`;
  await defineNetwork("lan", address);
  await virsh("net-start", "--network", "lan");
  for (const name of ["disk.qcow2", "cd.iso"]) {
    await run("qemu-img", [
      "create",
      "-q",
      "-f",
      name.endsWith("iso") ? "raw" : "qcow2",
      `${IMAGES}/${name}`,
      "64M",
    ]);
  }
  const devices = `<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/>
      <source file='${IMAGES}/disk.qcow2'/><target dev='vda' bus='virtio'/><serial>disk-1</serial></disk>
    <disk type='file' device='cdrom'><target dev='hdc' bus='ide'/><readonly/></disk>
    <interface type='network'><source network='lan'/><model type='virtio'/></interface>`;
  const guest = await tinyGuestXml({ name: GUEST, vcpus: 2, memoryMiB: 256, devices });
  writeFileSync("/run/definition.xml", guest);
  await virsh("create", "--file", "/run/definition.xml");
  await defineDomain("it's off");
  await guestSays(GUEST, "ADDRESS");
  const port = await freePort();
  theirs = `http://127.0.0.1:${port}/metrics`;
  exporting = spawn(exporter, [`--web.listen-address=127.0.0.1:${port}`], { stdio: "ignore" });
  await until("the exporter answers", () =>
    fetch(theirs).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
}, slow(120_000));
afterAll(async () => {
  exporting?.kill();
  await clean();
});

/** What promtool says of a text: nothing, when it is in order. */
async function lint(text: string): Promise<string> {
  const child = spawn(promtool, ["check", "metrics"], { stdio: ["pipe", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (data) => {
      said += data;
    });
  }
  child.stdin.end(text);
  const code = await new Promise((resolve) => child.once("close", resolve));
  return code === 0 ? said : `exit ${code}: ${said}`;
}

describe("promtool", () => {
  test.each(["", "?host=local", "?host=*"])("accepts /metrics%s", async (query) => {
    expect(await lint(await textAt(`${server.url}/metrics${query}`))).toBe("");
  });

  test("finds a planted mistake", async () => {
    const text = await textAt(`${server.url}/metrics`);
    expect(await lint(text.replace("_info_vstate gauge", "_info_vstate counter"))).toMatch(
      /libvirt_domain_info_vstate counter metrics should have "_total" suffix/,
    );
  });
});

/** Of the exporter's, those that other exporters do not have. */
const OLD = ["libvirt_domain_state_code", "libvirt_domains_number"];

/** What both can be asked about: a metric, a domain, a device. */
const keyOf = ({ name, labels }: Read) =>
  [name, labels.domain, labels.target_device].filter(Boolean).join(" ");
const byKey = (samples: Read[]) => new Map(samples.map((one) => [keyOf(one), one]));

/** Ours between two readings of theirs; each key with the three values. */
async function sameMoment() {
  const read = async () =>
    readExposition(await textAt(theirs)).filter(
      ({ name }) => name.startsWith("libvirt_") && !OLD.includes(name),
    );
  const before = await read();
  const ours = byKey(await scrape());
  const after = byKey(await read());
  return before.map((one) => {
    const key = keyOf(one);
    return { key, one, low: one.value, ours: ours.get(key)?.value, high: after.get(key)?.value };
  });
}

describe("beside Debian's prometheus-libvirt-exporter", () => {
  test("it has these, and we have all of them", async () => {
    const found = await sameMoment();
    const domain = [
      "cpu_time_seconds_total",
      "maximum_memory_bytes",
      "memory_usage_bytes",
      "virtual_cpus",
    ];
    const block = ["read_bytes", "read_requests", "write_bytes", "write_requests"];
    const net = ["receive", "transmit"].flatMap((way) =>
      ["bytes", "packets", "errors", "drops"].map((what) => `${way}_${what}`),
    );
    const keys = found.map(({ key }) => key.replace(/vnet\d+$/, "vnet0")); // libvirt counts on from the lab's guests before
    expect(keys.sort()).toEqual(
      [
        "libvirt_up",
        ...domain.map((name) => `libvirt_domain_info_${name} ${GUEST}`),
        ...block.map((name) => `libvirt_domain_block_stats_${name}_total ${GUEST} vda`),
        ...net.map((name) => `libvirt_domain_interface_stats_${name}_total ${GUEST} vnet0`),
      ].sort(),
    );
    for (const { key, ours } of found) expect(ours, key).toBeTypeOf("number");
  });

  test("a guest that runs: each value is theirs, or between two of theirs", async () => {
    for (let i = 0; i < 5; i++) {
      for (const { key, low, ours, high } of await sameMoment()) {
        expect(ours, key).toBeGreaterThanOrEqual(low);
        expect(ours, key).toBeLessThanOrEqual(Number(high));
      }
    }
  });

  test("a guest that stands still: each value is theirs", async () => {
    await virsh("suspend", "--domain", GUEST);
    try {
      const still = (await sameMoment()).filter(({ low, high }) => low === high);
      // QEMU itself goes on, and the bridge sends what it likes
      const moving = /cpu_time|_interface_stats_/;
      expect(still.filter(({ key }) => !moving.test(key))).toHaveLength(1 + 3 + 4);
      for (const { key, ours, low } of still) expect(ours, key).toBe(low);
    } finally {
      await virsh("resume", "--domain", GUEST);
    }
  });

  test("its labels are there too, on the metrics that are made for them", async () => {
    const samples = await scrape();
    const labels = (name: string, device?: string) =>
      samples.find(
        (one) =>
          one.name === name && one.labels.domain === GUEST && one.labels.target_device === device,
      )?.labels;
    for (const { one } of await sameMoment()) {
      const { uuid, source_file, source_bridge, target_device } = one.labels;
      if (uuid) expect(labels("libvirt_domain_info_meta")?.uuid).toBe(uuid);
      for (const name of ["libvirt_domain_block_stats_info", "libvirt_domain_block_meta"]) {
        if (source_file) expect(labels(name, target_device)?.source_file).toBe(source_file);
      }
      for (const name of ["libvirt_domain_interface_stats_info", "libvirt_domain_interface_meta"]) {
        if (source_bridge) expect(labels(name, target_device)?.source_bridge).toBe(source_bridge);
      }
    }
  });
});

describe("beside virsh", () => {
  const KiB = (text: string) => Number(text) * 1024;
  const ns = (text: string) => Number(text) / 1e9;
  const CHECKED: [string, string, (text: string) => number][] = [
    ["libvirt_domain_memory_stats_available_bytes", "balloon.available", KiB],
    ["libvirt_domain_memory_stats_minor_fault_total", "balloon.minor_fault", Number],
    ["libvirt_domain_memory_stats_maximum_bytes", "balloon.maximum", KiB],
    ["libvirt_domain_vcpu_current", "vcpu.current", Number],
    ["libvirt_domain_vcpu_time_seconds_total 0", "vcpu.0.time", ns],
    ["libvirt_domain_vcpu_delay_seconds_total 1", "vcpu.1.delay", ns],
    ["libvirt_domain_block_stats_read_time_seconds_total vda", "block.0.rd.times", ns],
    ["libvirt_domain_block_stats_flush_requests_total vda", "block.0.fl.reqs", Number],
    ["libvirt_domain_block_stats_capacity_bytes vda", "block.0.capacity", Number],
    ["libvirt_domain_block_stats_physicalsize_bytes vda", "block.0.physical", Number],
    ["libvirt_domain_block_stats_allocation vda", "block.0.allocation", Number],
  ];

  test("each value is between two of virsh's", async () => {
    const domstats = async () => {
      const text = await virsh("domstats", "--domain", GUEST);
      return Object.fromEntries(text.split("\n").map((line) => line.trim().split("=")));
    };
    const before = await domstats();
    const samples = (await scrape()).filter(({ labels }) => labels.domain === GUEST);
    const after = await domstats();
    const ours = Object.fromEntries(
      samples.map(({ name, labels: { vcpu, target_device }, value }) => [
        [name, vcpu ?? target_device].filter(Boolean).join(" "),
        value,
      ]),
    );
    for (const [key, field, unit] of CHECKED) {
      expect(ours[key], key).toBeGreaterThanOrEqual(unit(before[field]));
      expect(ours[key], key).toBeLessThanOrEqual(unit(after[field]));
    }
    const percent = ours.libvirt_domain_memory_stats_used_percent;
    const available = ours.libvirt_domain_memory_stats_available_bytes ?? 0;
    const usable = ours.libvirt_domain_memory_stats_usable_bytes ?? 0;
    expect(percent).toBeCloseTo((100 * (available - usable)) / available, 9);
  });

  test("pools and versions", async () => {
    const samples = await scrape();
    const info = await virsh("pool-info", "--pool", "default", "--bytes");
    const capacity = Number(info.match(/Capacity: +(\d+)/)?.[1]);
    for (const [name, label] of [
      ["libvirt_storage_pool_capacity_bytes", "storage_pool"],
      ["libvirt_pool_info_capacity_bytes", "pool"],
    ] as const) {
      const found = samples.filter((one) => one.name === name);
      expect(found).toEqual([{ name, labels: { [label]: "default" }, value: capacity }]);
    }
    const said = await virsh("version", "--daemon");
    const [version] = samples.filter(({ name }) => name === "libvirt_versions_info");
    expect(said).toContain(`Running hypervisor: QEMU ${version?.labels.hypervisor_running}\n`);
    expect(said).toContain(`Running against daemon: ${version?.labels.libvirtd_running}\n`);
  });

  test("a domain that is off is there with its state, and without CPU time", async () => {
    const off = (await scrape()).filter(({ labels }) => labels.domain === "it's off");
    const state = { domain: "it's off", state_desc: "the domain is shut off" };
    expect(off).toContainEqual({ name: "libvirt_domain_info_state", labels: state, value: 5 });
    expect(off.filter(({ name }) => name.includes("cpu_time"))).toEqual([]);
  });
});

describe("what changes while a domain runs is there in the next scrape", () => {
  const of = async (name: string, target_device: string) =>
    (await scrape()).find((one) => one.name === name && one.labels.target_device === target_device);

  test("a medium", async () => {
    const source = async () => (await of("libvirt_domain_block_meta", "hdc"))?.labels.source_file;
    expect(await source()).toBe("");
    const media = ["change-media", "--domain", GUEST, "--path", "hdc", "--live"];
    await virsh(...media, "--insert", `${IMAGES}/cd.iso`);
    expect(await source()).toBe(`${IMAGES}/cd.iso`);
    await virsh(...media, "--eject", "--force");
    expect(await source()).toBe("");
  });

  test("a disk's limits", async () => {
    const tune = ["blkdeviotune", "--domain", GUEST, "--device", "vda", "--live"];
    const limit = async (name: string) =>
      (await of(`libvirt_domain_block_stats_${name}`, "vda"))?.value;
    await virsh(
      ...tune,
      "--total-bytes-sec",
      "1048576",
      "--read-iops-sec",
      "500",
      "--size-iops-sec",
      "4096",
    );
    expect(await limit("limit_total_bytes")).toBe(1048576);
    expect(await limit("limit_read_requests")).toBe(500);
    expect(await limit("size_iops_bytes")).toBe(4096);
    await virsh(...tune, "--total-bytes-sec", "0", "--read-iops-sec", "0", "--size-iops-sec", "0");
    expect(await limit("limit_total_bytes")).toBeUndefined();
  });

  test("an interface", async () => {
    const mac = "52:54:00:99:88:77";
    const nic = ["--domain", GUEST, "--type", "network", "--mac", mac, "--live"];
    await virsh(
      "attach-interface",
      ...nic,
      "--source",
      "lan",
      "--model",
      "virtio",
      "--target",
      "tap9",
    );
    const info = await of("libvirt_domain_interface_stats_info", "tap9");
    expect(info?.labels).toMatchObject({
      mac_address: mac,
      source_bridge: "virbr0",
      model_type: "virtio",
    });
    expect(
      (await of("libvirt_domain_interface_stats_receive_bytes_total", "tap9"))?.value,
    ).toBeTypeOf("number");
    await virsh("detach-interface", ...nic);
    expect(await of("libvirt_domain_interface_stats_info", "tap9")).toBeUndefined();
  });
});

test("a job: what kind, for how long, and how much is left", async () => {
  const jobs = async () =>
    Object.fromEntries(
      (await scrape())
        .filter(({ name, labels }) => name.includes("_job_info_") && labels.domain === GUEST)
        .map(({ name, value }) => [name.replace("libvirt_domain_job_info_", ""), value]),
    );
  expect(await jobs()).toEqual({ type: 0 });
  let seen: Record<string, number> = {};
  for (let i = 0; i < 10 && !seen.memory_total_bytes; i++) {
    const file = `${IMAGES}/dump`;
    let ended = false;
    const dump = virsh("dump", "--domain", GUEST, "--file", file, "--memory-only").finally(() => {
      ended = true;
    });
    while (!ended && !seen.memory_total_bytes) seen = await jobs();
    await dump;
    await run("rm", [file]);
  }
  expect(seen.type).toBe(2);
  expect(seen.time_elapsed_seconds).toBeGreaterThan(0);
  expect(seen.time_elapsed_seconds).toBeLessThan(slow(60));
  expect(seen.memory_total_bytes).toBeGreaterThanOrEqual(256 * 2 ** 20);
  expect(Number(seen.memory_processed_bytes) + Number(seen.memory_remaining_bytes)).toBe(
    seen.memory_total_bytes,
  );
});
