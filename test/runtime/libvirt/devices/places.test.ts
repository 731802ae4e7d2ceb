/** Targets and ports: pure, from definitions as libvirt prints them. */
import { describe, expect, test } from "vitest";
import {
  assertBus,
  assertPluggable,
  type Bus,
  freePorts,
  nextTarget,
  targetsOf,
} from "../../../../runtime/libvirt/devices/places.ts";
import { parseXml } from "../../../../runtime/libvirt/xml.ts";

const domain = (devices: string) =>
  parseXml(`<domain><devices>${devices}</devices></domain>`, "domain");
const disk = (target: string) => `<disk><target dev='${target}'/></disk>`;

describe("the next target", () => {
  test.each<[Bus, string[], string]>([
    ["virtio", [], "vda"],
    ["virtio", ["vda", "vdc"], "vdb"],
    ["scsi", ["sda", "vda"], "sdb"],
    ["sata", ["sda"], "sdb"],
    ["usb", ["sda", "sdb"], "sdc"],
    ["ide", ["hda", "hdb", "hdc"], "hdd"],
    ["virtio", [..."abcdefghijklmnopqrstuvwxyz"].map((letter) => `vd${letter}`), "vdaa"],
  ])("%s beside %j: %s", (bus, taken, target) => {
    expect(nextTarget(bus, new Set(taken))).toBe(target);
  });

  test("an IDE bus that is full", () => {
    expect(() => nextTarget("ide", new Set(["hda", "hdb", "hdc", "hdd"]))).toThrow(/^bus: /);
  });

  test("of both definitions", () => {
    expect(targetsOf([domain(disk("vda")), domain(disk("vdb") + disk("sda"))])).toEqual(
      new Set(["vda", "vdb", "sda"]),
    );
  });
});

const ROOT = "<controller type='pci' index='0' model='pcie-root'/>";
const port = (index: number, more = "") =>
  `<controller type='pci' index='${index}' model='pcie-root-port'>${more}<address type='pci' bus='0x00'/></controller>`;
const on = (bus: string) => `<interface><address type='pci' bus='${bus}'/></interface>`;

describe("PCIe ports", () => {
  test.each<[string, string, number | undefined]>([
    ["none taken", ROOT + port(1) + port(2), 2],
    ["by hexadecimal number", ROOT + port(10) + port(2) + on("0x0a"), 1],
    ["all taken", ROOT + port(1) + on("0x01"), 0],
    ["no port at all", ROOT, 0],
    ["a port without hot plug", ROOT + port(1, "<target hotplug='off'/>"), 0],
    ["pc", "<controller type='pci' index='0' model='pci-root'/>", undefined],
    ["no PCI", "", undefined],
    [
      "a bridge, into which libvirt may plug too",
      `${ROOT}${port(1)}<controller type='pci' index='2' model='pci-bridge'/>`,
      undefined,
    ],
  ])("%s", (_what, devices, free) => {
    expect(freePorts(domain(devices))).toBe(free);
  });

  const full = domain(ROOT + port(1) + on("0x01"));
  const withScsi = domain(
    `${ROOT}${port(1)}${on("0x01")}<controller type='scsi' model='virtio-scsi'/><controller type='usb'/>`,
  );
  test("a full domain says what is left to do", () => {
    expect(() => assertPluggable("virtio", full)).toThrow(
      /no free PCIe port.*virtio disk.*there is none$/,
    );
    expect(() => assertPluggable("scsi", full)).toThrow(/SCSI controller that it lacks/);
    expect(() => assertPluggable("virtio", withScsi)).toThrow(/it has: scsi, usb$/);
    expect(() => assertPluggable("scsi", withScsi)).not.toThrow();
    expect(() => assertPluggable("usb", full)).not.toThrow();
  });
});

test("buses that take nothing while the domain runs, and a domain without USB", () => {
  for (const bus of ["sata", "ide"] as const)
    expect(() => assertPluggable(bus, domain(""))).toThrow(`the ${bus} bus of a running domain`);
  const bare = domain("<controller type='usb' model='none'/>");
  expect(() => assertBus("usb", [domain(""), bare])).toThrow(/no USB controller/);
  expect(() => assertBus("virtio", [bare])).not.toThrow();
});
