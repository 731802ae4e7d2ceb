/** GET /libvirt/domain?name=: what is read from dominfo and the definition. */
import { expect, test } from "vitest";
import domain from "../../../functions/libvirt/domain.ts";
import { answering } from "../../fixtures/fake.ts";

const UUID = "3f6a4a5e-4d0e-4b8a-9a5a-0d6c2f6f1a01";
const INFO = (state: string, id: string) => `Id:             ${id}
Name:           a: b
UUID:           ${UUID}
State:          ${state}
CPU(s):         4
Max memory:     2097152 KiB
Used memory:    1048576 KiB
Persistent:     yes
Autostart:      enable
Managed save:   no
`;
const having = (info: string, definition: string) =>
  answering((verb) => (verb === "dominfo" ? info : definition));

test("all of it", async () => {
  const fake = having(
    INFO("running", "7"),
    `<domain type='kvm' id='7'><name>a: b</name><title>T &amp; t</title><description>two
lines</description>
  <os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type><nvram>/v.fd</nvram></os>
  <devices>
    <disk type='volume'><source pool='p' volume='v'/><target dev='vda' bus='virtio'/></disk>
    <disk type='block' device='lun'><driver name='qemu' type='raw'/><source dev='/dev/sdb'/><target dev='sdb' bus='scsi'/></disk>
    <disk type='network' device='disk'><source protocol='rbd' name='pool/image'/><target dev='vdb'/></disk>
    <disk type='file' device='cdrom'><target dev='hda' bus='ide'/><readonly/></disk>
    <interface type='network'><mac address='52:54:00:00:00:01'/><source network='lan' bridge='virbr0'/><target dev='vnet3'/><model type='virtio'/></interface>
    <interface type='bridge'><source bridge='br0'/></interface>
    <interface type='user'><mac address='52:54:00:00:00:02'/></interface>
  </devices></domain>`,
  );
  expect(await domain({ name: "a: b" }, fake)).toEqual({
    ...{ name: "a: b", uuid: UUID, id: 7, title: "T & t", description: "two\nlines" },
    ...{ state: "running", persistent: true, autostart: true, managed_save: false },
    ...{ vcpus: 4, memory_kb: 1048576, max_memory_kb: 2097152 },
    os: { type: "hvm", arch: "x86_64", machine: "q35", firmware: "efi", nvram: "/v.fd" },
    disks: [
      { device: "vda", kind: "disk", bus: "virtio", source: "p/v", format: null, readonly: false },
      {
        device: "sdb",
        kind: "lun",
        bus: "scsi",
        source: "/dev/sdb",
        format: "raw",
        readonly: false,
      },
      {
        device: "vdb",
        kind: "disk",
        bus: null,
        source: "pool/image",
        format: null,
        readonly: false,
      },
      { device: "hda", kind: "cdrom", bus: "ide", source: null, format: null, readonly: true },
    ],
    interfaces: [
      {
        mac: "52:54:00:00:00:01",
        type: "network",
        source: "lan",
        model: "virtio",
        device: "vnet3",
      },
      { mac: null, type: "bridge", source: "br0", model: null, device: null },
      { mac: "52:54:00:00:00:02", type: "user", source: null, model: null, device: null },
    ],
    reasons: {},
  });
  expect(fake.calls.map(([verb, , name]) => [verb, name])).toEqual([
    ["dominfo", "a: b"],
    ["dumpxml", "a: b"],
  ]);
});

test("one that is off, and has next to nothing", async () => {
  const fake = having(INFO("shut off", "-"), "<domain><name>a: b</name></domain>");
  expect(await domain({ name: "a: b" }, fake)).toMatchObject({
    ...{ id: null, title: null, description: null, state: "shut off", disks: [], interfaces: [] },
    os: { type: null, arch: null, machine: null, firmware: null, nvram: null },
  });
});
