/** Edits to a definition: what template/deploy changes, and nothing else. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { setMemory, setNetwork, setVcpus } from "../../../../runtime/libvirt/domain/edit.ts";
import { XmlDocument } from "../../../../runtime/libvirt/xml-document.ts";
import { diff } from "../../../fixtures/diff.ts";

const FOLDER = join(import.meta.dirname, "../../../fixtures/xml");
const read = (file: string) => readFileSync(join(FOLDER, `${file}.xml`), "utf8");

describe("what deploy changes", () => {
  const edited = (file: string, edit: (doc: XmlDocument) => void) => {
    const doc = new XmlDocument(read(file));
    edit(doc);
    return diff(read(file), `${doc}`);
  };
  test("memory", () => {
    expect(edited("plain", (doc) => setMemory(doc, 3))).toEqual([
      "- <memory unit='KiB'>1048576</memory>",
      "- <currentMemory unit='KiB'>524288</currentMemory>",
      "+ <memory unit='KiB'>3072</memory>",
      "+ <currentMemory unit='KiB'>3072</currentMemory>",
    ]);
  });
  test("vcpus, with the topology that must agree", () => {
    expect(edited("plain", (doc) => setVcpus(doc, 3))).toEqual([
      "- <vcpu placement='static' current='1'>2</vcpu>",
      "+ <vcpu placement='static'>3</vcpu>",
      "- <topology sockets='1' dies='1' cores='2' threads='1'/>",
    ]);
  });
  test.each([
    ["plain", ["- <source network='default' portgroup='web'/>", '+ <source network="it&apos;s"/>']],
    [
      "disks",
      [
        "- <interface type='user'>",
        "+ <interface type='network'>",
        '+ <source network="it&apos;s"/>',
      ],
    ],
    [
      "consoles",
      [
        '+ <interface type="network"><source network="it&apos;s"/><model type="virtio"/></interface>',
      ],
    ],
  ])("network: %s", (file, expected) => {
    expect(edited(file, (doc) => setNetwork(doc, "it's"))).toEqual(expected);
  });
});

/** The definition after an edit, without its white space. */
function editedText(definition: string, edit: (doc: XmlDocument) => void) {
  const doc = new XmlDocument(definition);
  edit(doc);
  return `${doc}`.replace(/\s*\n\s*/g, "");
}

describe("memory and vCPUs of a domain whose NUMA cells have them", () => {
  const having = (cells: string, devices = "") =>
    `<domain><maxMemory slots='4' unit='MiB'>256</maxMemory><memory unit='KiB'>131072</memory><currentMemory unit='KiB'>131072</currentMemory><vcpu>4</vcpu><cpu><numa>${cells}</numa></cpu><devices>${devices}</devices></domain>`;
  const cellsOf = (definition: string) =>
    new XmlDocument(definition)
      .find("cpu", "numa", "cell")
      .map(({ attributes }) => [attributes.cpus, Number(attributes.memory) / 1024]);
  const dimm = (size: string) =>
    `<memory model='dimm'><target><size unit='MiB'>${size}</size><node>0</node></target></memory>`;

  test.each([
    ["one cell", "<cell id='0' cpus='0-3' memory='128' unit='MiB'/>", 512, [["0-3", 512]]],
    [
      "two alike, an odd number",
      "<cell id='0' cpus='0-1' memory='65536'/><cell id='1' cpus='2-3' memory='64' unit='MiB'/>",
      513,
      [
        ["0-1", 257],
        ["2-3", 256],
      ],
    ],
    [
      "three of different sizes",
      "<cell id='0' cpus='0' memory='1' unit='GiB'/><cell id='1' cpus='1' memory='2' unit='GiB'/><cell id='2' memory='1' unit='GiB'/>",
      1000,
      [
        ["0", 250],
        ["1", 500],
        [undefined, 250],
      ],
    ],
    [
      "one that is tiny",
      "<cell id='0' cpus='0' memory='1' unit='MiB'/><cell id='1' cpus='1' memory='100' unit='GiB'/>",
      64,
      [
        ["0", 1],
        ["1", 63],
      ],
    ],
  ])("memory: %s", (_what, cells, mebibytes, expected) => {
    const edited = editedText(having(cells), (doc) => setMemory(doc, mebibytes));
    expect(cellsOf(edited)).toEqual(expected);
    expect(edited).toContain(`<memory unit='KiB'>${mebibytes * 1024}</memory>`);
    const most = Math.max(256, mebibytes);
    expect(edited).toMatch(
      most === 256 ? /unit='MiB'>256</ : new RegExp(`slots='4' unit='KiB'>${most * 1024}<`),
    );
  });

  test("memory devices count, and stay", () => {
    const definition = having(
      "<cell id='0' cpus='0-3' memory='64' unit='MiB'/>",
      dimm("32") + dimm("32"),
    );
    const edited = editedText(definition, (doc) => setMemory(doc, 512));
    expect(cellsOf(edited)).toEqual([["0-3", 448]]);
    expect(edited.match(/<size unit='MiB'>32</g)).toHaveLength(2);
    expect(() => editedText(definition, (doc) => setMemory(doc, 64))).toThrow(
      "memory: its 1 NUMA cells and its memory devices of 64 MiB need at least 65 MiB",
    );
  });

  test.each([
    ["fewer", "<cell id='0' cpus='0-1'/><cell id='1' cpus='2-3'/>", 2, ["0", "1"]],
    ["more", "<cell id='0' cpus='0-1'/><cell id='1' cpus='2-3'/>", 6, ["0-2", "3-5"]],
    [
      "lists with holes",
      "<cell id='0' cpus='0-3,^2,8'/><cell id='1' cpus='2,4-6'/>",
      4,
      ["0-1", "2-3"],
    ],
    ["unequal cells", "<cell id='0' cpus='0'/><cell id='1' cpus='1-3'/>", 8, ["0-2", "3-7"]],
    ["a cell of memory alone", "<cell id='0' cpus='0-3'/><cell id='1'/>", 2, ["0-1", undefined]],
  ])("vcpus: %s", (_what, cells, count, expected) => {
    const edited = editedText(having(cells), (doc) => setVcpus(doc, count));
    expect(cellsOf(edited).map(([cpus]) => cpus)).toEqual(expected);
  });

  test("fewer vCPUs than cells that have some are refused", () => {
    const cells = "<cell id='0' cpus='0'/><cell id='1' cpus='1'/>";
    expect(() => editedText(having(cells), (doc) => setVcpus(doc, 1))).toThrow(
      "vcpus: its 2 NUMA cells with vCPUs need at least 2",
    );
  });
});

describe("a new network keeps the device and drops the old connection", () => {
  const kept =
    "<mac address='52:54:00:00:00:01'/><model type='virtio'/><boot order='1'/><link state='up'/><mtu size='9000'/><alias name='ua-net'/><address type='pci' slot='0x03'/>";
  const source = '<source network="lan"/>';
  test.each([
    [
      "OVS bridge",
      `<interface type='bridge'><source bridge='br0'/><virtualport type='openvswitch'/><vlan><tag id='7'/></vlan><target dev='vnet7'/>${kept}</interface>`,
      `<interface type='network'>${source}${kept}</interface>`,
    ],
    [
      "SR-IOV",
      `<interface type='hostdev' managed='yes'><driver name='vfio'/><source><address type='pci' slot='0x10'/></source><vlan><tag id='7'/></vlan><mac address='52:54:00:00:00:01'/><address type='pci' slot='0x03'/></interface>`,
      `<interface type='network'>${source}<model type="virtio"/><mac address='52:54:00:00:00:01'/><address type='pci' slot='0x03'/></interface>`,
    ],
    [
      "ethernet with a script",
      `<interface type='ethernet'><script path='/etc/qemu-ifup'/><target dev='tap0' managed='no'/><downscript path='/x'/>${kept}</interface>`,
      `<interface type='network'>${source}${kept}</interface>`,
    ],
    [
      "passt",
      `<interface type='user'><backend type='passt' logFile='/l'/><portForward proto='tcp'><range start='1'/></portForward><ip family='ipv4' address='10.0.0.2'/><source dev='eth0'/><driver name='vhost'/>${kept}</interface>`,
      `<interface type='network'>${source}<driver name='vhost'/>${kept}</interface>`,
    ],
    [
      "macvtap",
      `<interface type='direct' trustGuestRxFilters='yes'><source dev='eth0' mode='vepa'/><virtualport type='802.1Qbh'/><bandwidth><inbound average='9'/></bandwidth>${kept}</interface>`,
      `<interface type='network'>${source}<bandwidth><inbound average='9'/></bandwidth>${kept}</interface>`,
    ],
    [
      "another network",
      `<interface type='network'><source network='old' portgroup='p'/><target dev='tap-web'/><port isolated='yes'/><filterref filter='clean-traffic'/>${kept}</interface>`,
      `<interface type='network'>${source}<target dev='tap-web'/><filterref filter='clean-traffic'/>${kept}</interface>`,
    ],
  ])("%s", (_what, old, expected) => {
    const other = "<interface type='user'/>";
    const edited = editedText(`<domain><devices>${old}${other}</devices></domain>`, (doc) =>
      setNetwork(doc, "lan"),
    );
    expect(edited).toBe(`<domain><devices>${expected}${other}</devices></domain>`);
  });
});
