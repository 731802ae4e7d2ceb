/** From a running domain's definition to samples. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseXml, type Xml, xml } from "../../../runtime/libvirt/xml.ts";
import { deviceSamples, identitySamples } from "../../../runtime/metrics/domain-info.ts";
import type { Sample } from "../../../runtime/metrics/names.ts";

const running = parseXml(
  readFileSync(join(import.meta.dirname, "recorded/domain.xml"), "utf8"),
  "domain",
);
const domain = (inner: Xml) =>
  parseXml(`${xml`<domain><name>d</name><uuid>u-1</uuid>${inner}</domain>`}`, "domain");
const device = (inner: Xml) => deviceSamples(domain(xml`<devices>${inner}</devices>`), new Map());
const labelsOf = (samples: Sample[], name: string) =>
  samples.filter((sample) => sample.name === name).map(({ labels }) => labels);

test("what a domain is", () => {
  const none = { instance_name: "", user_name: "", project_name: "" };
  const uuid = "14fdde5a-ada0-43cf-8a9b-585240f51a4f";
  const machine = { os_type: "hvm", os_type_arch: "x86_64", os_type_machine: "pc-i440fx-7.2" };
  const meta = { flavor: "", user_uuid: "", project_uuid: "", root_type: "", root_uuid: "" };
  const openstack = { flavor_name: "", user_id: "", project_id: "" };
  const of = { domain: "g 1" };
  expect(identitySamples(running)).toEqual([
    { name: "libvirt_domain_info", labels: { ...of, ...machine }, value: 1 },
    {
      name: "libvirt_domain_openstack_info",
      labels: { ...of, ...none, ...openstack, instance_id: uuid },
      value: 1,
    },
    { name: "libvirt_domain_info_meta", labels: { ...of, ...none, ...meta, uuid }, value: 1 },
  ]);
});

test("what Nova notes of it", () => {
  const [, openstack, meta] = identitySamples(
    domain(xml`<metadata>
  <nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1">
    <nova:name>web &amp; co</nova:name>
    <nova:flavor name="m1.tiny"><nova:memory>512</nova:memory></nova:flavor>
    <nova:owner>
      <nova:user uuid="user-1">someone</nova:user>
      <nova:project uuid="project-1">shop</nova:project>
    </nova:owner>
    <nova:root type="image" uuid="image-1"/>
  </nova:instance>
</metadata>`),
  );
  const names = { instance_name: "web & co", user_name: "someone", project_name: "shop" };
  expect(openstack?.labels).toEqual({
    domain: "d",
    ...names,
    instance_id: "u-1",
    flavor_name: "m1.tiny",
    user_id: "user-1",
    project_id: "project-1",
  });
  expect(meta?.labels).toEqual({
    domain: "d",
    ...names,
    uuid: "u-1",
    flavor: "m1.tiny",
    user_uuid: "user-1",
    project_uuid: "project-1",
    root_type: "image",
    root_uuid: "image-1",
  });
});

test("the devices of a running guest, and its limits", () => {
  const samples = deviceSamples(running, new Map());
  const of = { domain: "g 1" };
  const vda = {
    ...of,
    target_device: "vda",
    source_file: "/var/lib/libvirt/images/a.qcow2",
    serial: "SER1",
    disk_type: "file",
    driver_type: "qcow2",
  };
  const hdc = { ...of, target_device: "hdc", source_file: "", serial: "", disk_type: "file" };
  const none = { driver_type: "", cache: "", discard: "" };
  expect(labelsOf(samples, "libvirt_domain_block_meta")).toEqual([
    { ...vda, bus: "virtio", cache: "none", discard: "unmap" },
    { ...hdc, ...none, bus: "ide" },
  ]);
  expect(labelsOf(samples, "libvirt_domain_block_stats_info")).toMatchObject([
    {
      ...vda,
      target_bus: "virtio",
      driver_name: "qemu",
      driver_cache: "none",
      driver_discard: "unmap",
      source_protocol: "",
    },
    { ...hdc, target_bus: "ide", driver_name: "qemu" },
  ]);
  const nic = { ...of, target_device: "vnet0", source_bridge: "virbr0" };
  expect(labelsOf(samples, "libvirt_domain_interface_stats_info")).toEqual([
    {
      ...nic,
      interface_type: "network",
      mac_address: "52:54:00:f7:ff:ac",
      model_type: "virtio",
      mtu_size: "1400",
    },
  ]);
  expect(labelsOf(samples, "libvirt_domain_interface_meta")).toEqual([
    { ...nic, virtual_interface: "" },
  ]);
  const limits = samples.filter(({ name }) => name.includes("_limit_"));
  expect(limits.map(({ name, value }) => [name.replace(/.*_limit_/, ""), value])).toEqual([
    ["total_bytes", 1000000],
    ["read_requests", 500],
    ["burst_read_requests", 600],
    ["burst_length_read_requests_seconds", 5],
  ]);
  expect(new Set(limits.map(({ labels }) => JSON.stringify(labels)))).toEqual(
    new Set([JSON.stringify({ domain: "g 1", target_device: "vda" })]),
  );
});

test("every limit has its metric", () => {
  const elements = ["total", "read", "write"].flatMap((way) =>
    ["bytes", "iops"].flatMap((what) =>
      ["", "_max", "_max_length"].map((end) => `${way}_${what}_sec${end}`),
    ),
  );
  elements.push("size_iops_sec");
  const tune = elements.map((name, i) => `<${name}>${i + 1}</${name}>`).join("");
  const text = `<domain><name>d</name><devices><disk><target dev="vda"/><iotune>${tune}</iotune></disk></devices></domain>`;
  const samples = deviceSamples(parseXml(text, "domain"), new Map()).slice(2);
  expect(new Set(samples.map(({ name }) => name)).size).toBe(19);
  const of = (name: string) =>
    samples.find((one) => one.name.endsWith(`block_stats_${name}`))?.value;
  const value = (element: string) => elements.indexOf(element) + 1;
  expect(of("limit_write_bytes")).toBe(value("write_bytes_sec"));
  expect(of("limit_burst_total_bytes")).toBe(value("total_bytes_sec_max"));
  expect(of("limit_burst_read_bytes_length_seconds")).toBe(value("read_bytes_sec_max_length"));
  expect(of("limit_burst_length_write_requests_seconds")).toBe(value("write_iops_sec_max_length"));
  expect(of("size_iops_bytes")).toBe(value("size_iops_sec"));
});

test("sources that are no file: a block device, a volume, a network's image", () => {
  const sources = (samples: Sample[]) =>
    labelsOf(samples, "libvirt_domain_block_stats_info").map(
      ({ disk_type, source_file, source_protocol }) => [disk_type, source_file, source_protocol],
    );
  const lun = xml`<disk type="block"><source dev="/dev/sdb"/><target dev="vda"/></disk>`;
  const rbd = xml`<disk type="network"><source protocol="rbd" name="pool/image"/><target dev="vdb"/></disk>`;
  expect(sources([...device(lun), ...device(rbd)])).toEqual([
    ["block", "/dev/sdb", ""],
    ["network", "pool/image", "rbd"],
  ]);
  const volume = xml`<disk type="volume"><source pool="p" volume="v"/><target dev="vdc"/></disk>`;
  const paths = new Map([["vdc", "/pool/v"]]);
  expect(sources(deviceSamples(domain(xml`<devices>${volume}</devices>`), paths))).toEqual([
    ["volume", "/pool/v", ""],
  ]);
});

test("an Open vSwitch port has its ID; an interface without a device on the host is left out", () => {
  const port = xml`<interface type="bridge"><source bridge="br-int"/><target dev="tap1"/>
    <virtualport type="openvswitch"><parameters interfaceid="port-1"/></virtualport></interface>`;
  const user = xml`<interface type="user"><mac address="52:54:00:00:00:01"/></interface>`;
  const samples = device(xml`${port}${user}`);
  expect(labelsOf(samples, "libvirt_domain_interface_meta")).toEqual([
    {
      domain: "d",
      source_bridge: "br-int",
      target_device: "tap1",
      virtual_interface: "port-1",
    },
  ]);
  expect(samples).toHaveLength(2);
});
