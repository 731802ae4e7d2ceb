/** What template/deploy changes is what libvirt then has, and the domain starts: NUMA cells, memory devices, interfaces. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { attribute, children, textOf, xml } from "../../../runtime/libvirt/xml.ts";
import { define, everything, parsed, start, virsh, wipe } from "../../fixtures/live/machine.ts";
import { defineNetwork, expectError, expectSuccess, nics } from "../../fixtures/live/virsh.ts";
import type { TestServer } from "../../server.ts";

let server: TestServer;
beforeAll(async () => {
  await defineNetwork("lan", xml`<forward mode="nat"/><ip address="10.78.0.1" prefix="24"/>`);
  await virsh("net-start", "lan");
  server = await start();
});
afterEach(wipe);
afterAll(async () => {
  await server.stop();
  await virsh("net-destroy", "lan");
  await virsh("net-undefine", "lan");
});

const deploy = (changes: object) =>
  server.post("/libvirt/template/deploy", { template: "golden", name: "new", ...changes });

/** libvirt 11.3 wants it for vhost-user. */
const SHARED = `<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>`;

async function golden({ cpu = "", vcpus = 2, max = "", devices = "" }) {
  await define(`<domain type='qemu'><name>golden</name>${max}<memory unit='MiB'>128</memory>
  <vcpu>${vcpus}</vcpu><os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>
  ${SHARED}${cpu}<devices>${devices}<memballoon model='none'/></devices></domain>`);
}

const cells = (...lines: string[]) =>
  `<cpu mode='custom'><model>qemu64</model><numa>${lines.join("")}</numa></cpu>`;
const one = cells("<cell id='0' cpus='0-1' memory='128' unit='MiB'/>");
const two = cells(
  "<cell id='0' cpus='0' memory='32' unit='MiB'/>",
  "<cell id='1' cpus='1' memory='96' unit='MiB'/>",
);
const max = "<maxMemory slots='4' unit='MiB'>256</maxMemory>";
const dimm =
  "<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>";

describe("memory and vcpus", () => {
  test.each([
    ["one NUMA cell", { cpu: one }, { memory: 512 }, [["0-1", 512]]],
    ["fewer vCPUs than the cell has", { cpu: one }, { vcpus: 1 }, [["0", 128]]],
    [
      "two NUMA cells",
      { cpu: two },
      { memory: 402, vcpus: 5 },
      [
        ["0-2", 101],
        ["3-4", 301],
      ],
    ],
    ["a memory device", { cpu: one, max, devices: dimm }, { memory: 512 }, [["0-1", 384]]],
    ["none", {}, { memory: 300, vcpus: 3 }, []],
  ])("%s", async (_what, template, changes: { memory?: number; vcpus?: number }, expected) => {
    await golden(template);
    expectSuccess(await deploy({ ...changes, autostart: true }), 201);
    const domain = await parsed("new");
    for (const name of ["memory", "currentMemory"])
      if (changes.memory) expect(Number(textOf(domain, name)) / 1024).toBe(changes.memory);
    expect(Number(textOf(domain, "vcpu"))).toBe(changes.vcpus ?? 2);
    expect(
      children(domain, "cpu", "numa", "cell").map((cell) => [
        attribute(cell, "cpus"),
        Number(attribute(cell, "memory")) / 1024,
      ]),
    ).toEqual(expected);
    expect((await virsh("domstate", "--domain", "new")).trim()).toBe("running");
  });

  test.each([
    [{ cpu: two }, { vcpus: 1 }, /^vcpus: its 2 NUMA cells/],
    [
      { cpu: one, max, devices: dimm },
      { memory: 128 },
      /^memory: its 1 NUMA cells and its memory devices of 128 MiB/,
    ],
    [{ cpu: two }, { memory: 1 }, /^memory: its 2 NUMA cells/],
  ])("too little for %j is refused, and nothing is left", async (template, changes, text) => {
    await golden(template);
    const before = await everything();
    expectError(await deploy(changes), 500, "unsupported", text);
    expect(await everything()).toEqual(before);
  });
});

test.each([
  [
    "OVS bridge",
    "<interface type='bridge'><source bridge='ovsbr'/><virtualport type='openvswitch'/><vlan><tag id='7'/></vlan><model type='e1000'/></interface>",
    "e1000",
  ],
  [
    "SR-IOV",
    "<interface type='hostdev' managed='yes'><driver name='vfio'/><source><address type='pci' domain='0' bus='3' slot='0x10' function='0'/></source><vlan><tag id='7'/></vlan></interface>",
    "virtio",
  ],
  [
    "ethernet with a script",
    "<interface type='ethernet'><script path='/etc/qemu-ifup'/><target dev='tap7'/><model type='virtio'/></interface>",
    "virtio",
  ],
  [
    "macvtap with a profile",
    "<interface type='direct' trustGuestRxFilters='yes'><source dev='eth7' mode='vepa'/><virtualport type='802.1Qbg'><parameters managerid='1' typeid='2' typeidversion='3'/></virtualport><model type='virtio'/></interface>",
    "virtio",
  ],
  [
    "vhost-user",
    "<interface type='vhostuser'><source type='unix' path='/run/v' mode='client'/><model type='virtio'/></interface>",
    "virtio",
  ],
])("a network instead of %s: the domain starts", async (_what, nic, model) => {
  await golden({ devices: nic });
  const { macs } = expectSuccess(await deploy({ network: "lan", autostart: true }), 201);
  expect(await nics("new")).toEqual([{ mac: macs[0], network: "lan", model }]);
  expect((await virsh("domstate", "--domain", "new")).trim()).toBe("running");
});

test("the network may be named by its UUID", async () => {
  await golden({});
  const network = (await virsh("net-uuid", "--network", "lan")).trim();
  expectSuccess(await deploy({ network, autostart: true }), 201);
  expect(await nics("new")).toMatchObject([{ network: "lan" }]);
});
