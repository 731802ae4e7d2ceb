/** The drive of a seed, its mark, and how both leave a definition. */
import { describe, expect, test } from "vitest";
import {
  attachSeed,
  dropSeed,
  readSeedMark,
  seedDrives,
} from "../../../../runtime/libvirt/cloud-init/attach-seed.ts";
import { freeDrive } from "../../../../runtime/libvirt/cloud-init/seed-drive.ts";
import { readDisks } from "../../../../runtime/libvirt/disk.ts";
import { children, parseXml } from "../../../../runtime/libvirt/xml.ts";
import { XmlDocument } from "../../../../runtime/libvirt/xml-document.ts";

const UUID = "3f6a4a5e-4d0e-4b8a-9a5a-0d6c2f6f1a01";
const SEED = { pool: "p&q", volume: "web-seed.iso", path: "/p/<web>-seed.iso" };
const disk = (target: string, bus: string, more = "", device = "disk") =>
  `<disk type='file' device='${device}'><source file='/p/${target}'/><target dev='${target}' bus='${bus}'/>${more}</disk>`;
const domain = (devices: string, metadata = "") =>
  new XmlDocument(
    `<domain><name>web</name><uuid>${UUID}</uuid>${metadata}<devices>${devices}</devices></domain>`,
  );
const attached = (doc: XmlDocument, uuid = UUID) => {
  attachSeed(doc, SEED, uuid);
  return `${doc}`;
};

describe("the drive", () => {
  const SCSI = "<controller type='scsi' index='0' model='virtio-scsi'/>";
  const LSI = "<controller type='scsi' index='0' model='lsilogic'/>";
  const at = (unit: number, controller = 0) =>
    `<address type="drive" controller="${controller}" bus="0" target="0" unit="${unit}"/>`;
  test.each([
    ["no disk", "", "sda", "scsi", at(0), true],
    ["virtio", disk("vda", "virtio"), "sda", "scsi", at(0), true],
    ["a controller of another kind", disk("vda", "virtio") + LSI, "sda", "scsi", at(0, 1), true],
    ["virtio-scsi", disk("sda", "scsi") + SCSI, "sdb", "scsi", at(1), false],
    [
      "a unit that is taken under another name",
      disk("sda", "scsi", "<address type='drive' controller='0' bus='0' target='0' unit='1'/>") +
        SCSI,
      ...["sdb", "scsi", at(2), false],
    ],
    [
      "the same unit of another controller",
      disk("sda", "scsi", "<address type='drive' controller='1' bus='0' target='0' unit='1'/>") +
        SCSI,
      ...["sdb", "scsi", at(1), false],
    ],
    ["SATA", disk("sda", "sata"), "sdb", "sata", undefined, false],
    [
      "SATA after a CD-ROM",
      disk("sda", "sata", "", "cdrom") + disk("vda", "virtio"),
      "sdb",
      "scsi",
      at(0),
      true,
    ],
    ["IDE", disk("hda", "ide") + disk("hdc", "ide", "", "cdrom"), "hdb", "ide", undefined, false],
    ["USB", disk("sda", "usb"), "sdb", "usb", undefined, false],
  ] as const)("%s", (_, devices, target, bus, address, isNew) => {
    const drive = freeDrive(domain(devices as string));
    expect(drive).toMatchObject({ target, bus });
    expect(drive.address?.toString()).toBe(address);
    expect(drive.controller !== undefined).toBe(isNew);
  });

  test("no free one", () => {
    const full = ["hda", "hdb", "hdc", "hdd"].map((name) => disk(name, "ide")).join("");
    expect(() => freeDrive(domain(full))).toThrow("cloud_init: the domain has no free ide drive");
  });
});

test.each(["", "<metadata/>", "<metadata><a:b xmlns:a='x'>&lt;</a:b></metadata>"])(
  "with %j the seed is in a drive, and known as the domain's own",
  (metadata) => {
    const element = parseXml(attached(domain(disk("vda", "virtio"), metadata)), "domain");
    expect(readDisks(element).map(({ target, path }) => [target, path])).toEqual([
      ["vda", "/p/vda"],
      ["sda", SEED.path],
    ]);
    const mark = readSeedMark(element);
    expect(mark).toEqual({ ...SEED, target: "sda" });
    expect(seedDrives(element, SEED)).toHaveLength(1);
    if (metadata.includes("a:b")) expect(children(element, "metadata", "a:b")).toHaveLength(1);
  },
);

test("a volume that is a device", () => {
  const doc = domain("");
  attachSeed(doc, { ...SEED, path: "/dev/vg/web-seed.iso" }, UUID);
  expect(`${doc}`).toContain('<disk type="block" device="cdrom">');
  expect(`${doc}`).toContain('<source dev="/dev/vg/web-seed.iso" startupPolicy="optional"/>');
});

test("a copy of the definition under another UUID does not own the seed", () => {
  const text = attached(domain("")).replace(
    `<uuid>${UUID}`,
    "<uuid>11111111-0d0e-4b8a-9a5a-0d6c2f6f1a01",
  );
  expect(readSeedMark(parseXml(text, "domain"))).toBeUndefined();
  expect(readSeedMark(parseXml(`${domain("")}`, "domain"))).toBeUndefined();
});

describe("what is made from a domain has no part in its seed", () => {
  const other = disk("sdz", "scsi", "", "cdrom");
  test.each([
    ["in its drive", (text: string) => text],
    ["ejected", (text: string) => text.replace(/<source file="[^"]*-seed[^>]*>/, "")],
    ["of another domain", (text: string) => text.replaceAll(`domain="${UUID}"`, 'domain="x"')],
    [
      "a volume of its pool",
      (text: string) =>
        text.replace(
          /<source file="[^"]*-seed[^>]*>/,
          '<source pool="p&amp;q" volume="web-seed.iso"/>',
        ),
    ],
  ])("%s", (_, change) => {
    const doc = new XmlDocument(change(attached(domain(disk("vda", "virtio") + other))));
    dropSeed(doc);
    const element = parseXml(`${doc}`, "domain");
    expect(readDisks(element).map(({ target }) => target)).toEqual(["vda", "sdz"]);
    expect(`${doc}`).not.toContain("hypersdk:seed");
    attachSeed(doc, { ...SEED, path: "/p/new" }, "new");
    expect(`${doc}`).toContain('file="/p/new"');
  });

  test("another CD-ROM in the drive stays", () => {
    const text = attached(domain("")).replace(
      /\/p\/&lt;web&gt;-seed.iso" startup/,
      '/p/other.iso" startup',
    );
    const doc = new XmlDocument(text);
    dropSeed(doc);
    expect(readDisks(parseXml(`${doc}`, "domain")).map(({ path }) => path)).toEqual([
      "/p/other.iso",
    ]);
  });
});
