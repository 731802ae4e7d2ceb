/** Raw files that are no disks: by their names, their text and their size; and disks that look unlike one. */
import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import {
  type Claim,
  implausible,
  smallDiskHint,
} from "../../../../runtime/libvirt/storage/import-plausible.ts";

const MIB = 2 ** 20;
const sector = (text: string, fill = 0) => Buffer.alloc(512, fill).fill(text, 0, text.length);
const BOOT = Buffer.from([0x55, 0xaa]);
const PAGE = "<!DOCTYPE html><html><body>Sign in</body></html>\n";

test.each<[string, Buffer, number, Claim, RegExp]>([
  ["a login page", Buffer.from(PAGE), 49, { use: "disk" }, /^is an HTML page and no disk image; /],
  ["a long page", sector("\n<html>", 0x20), MIB, { use: "boot disk" }, /^is an HTML page/],
  ["a text", Buffer.from("not found\n"), 10, { use: "disk" }, /^is text and no disk image; /],
  [
    "one with umlauts, cut",
    Buffer.from("ä".repeat(256)).subarray(0, 511),
    MIB,
    { use: "disk" },
    /text/,
  ],
  ["a byte", Buffer.from([0]), 1, { use: "boot disk" }, /^has only 1 bytes and no boot sector/],
  ["zeros", Buffer.alloc(512), MIB - 1, { use: "boot disk" }, /^has only 1048575 bytes/],
  ["no OVA", Buffer.alloc(512), MIB, { name: "/data/page.OVA" }, /^is named .OVA, but is no tar/],
  ...["vmdk", "qcow2", "vhdx", "vdi", "vhd", "qcow2.xz", "vmdk.gz"].map(
    (ending): [string, Buffer, number, Claim, RegExp] => [
      `no ${ending}`,
      Buffer.alloc(512),
      MIB,
      { name: `/a.b/page.${ending}` },
      RegExp(`^is named \\.${ending.split(".")[0]}, but has not the header of one; or import it`),
    ],
  ),
])("%s is refused", (_what, head, size, claim, why) => {
  expect(implausible({ head, size }, claim)).toMatch(why);
});

test.each<[string, Buffer, number, Claim]>([
  ["a disk of zeros", Buffer.alloc(512), MIB, { use: "boot disk", name: "/data/x.raw" }],
  ["one that is encrypted", randomBytes(512), MIB, { use: "boot disk" }],
  [
    "a boot sector alone",
    Buffer.concat([sector("x").subarray(0, 510), BOOT]),
    512,
    { use: "boot disk" },
  ],
  ["a small data disk", Buffer.alloc(512), 512, { use: "disk" }],
  ["a text that is no disk's", Buffer.from("text"), 4, {}],
  ["a label before zeros", sector("LABELONE"), MIB, { use: "boot disk" }],
  ["the data of a VMDK", Buffer.alloc(512), MIB, { name: "/d/web-flat.vmdk", use: "disk" }],
  ["a piece of one", Buffer.alloc(512), MIB, { name: "/d/web-f001.vmdk", use: "disk" }],
  ["an ISO", sector("\0"), MIB, { name: "https://x/a.iso", use: "disk" }],
  ["an ending within the name", Buffer.alloc(512), MIB, { name: "/d/a.vmdk.img", use: "disk" }],
])("%s is taken", (_what, head, size, claim) => {
  expect(implausible({ head, size }, claim)).toBeUndefined();
});

test("a hint for a small raw volume alone", () => {
  expect(smallDiskHint("raw", 1)).toMatch(/^; it has only 1 bytes, so make sure/);
  expect([smallDiskHint("raw", MIB), smallDiskHint("qcow2", 1)]).toEqual(["", ""]);
});
