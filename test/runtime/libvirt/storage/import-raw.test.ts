/** Raw disks whose first bytes are those of an image. */
import { expect, test } from "vitest";
import { seenFormat } from "../../../../runtime/libvirt/storage/import-raw.ts";

test.each([
  ["QFI\xfb\0\0\0\x03", "qcow2"],
  ["QED\0", "qed"],
  ["KDMV\x01", "vmdk"],
  [`${"x".repeat(64)}\x7f\x10\xda\xbe`, "vdi"],
  ["conectix", "vpc"],
  ["OOOM", "cow"],
  ["WithouFreSpacExt", "ploop"],
  ["LUKS\xba\xbe", undefined],
  ["\xebcMSDOS5.0", undefined],
  ["xQFI\xfb", undefined],
  ["", undefined],
])("%j: %s", (head, format) => {
  expect(seenFormat(Buffer.from(head.padEnd(512, "\0"), "latin1").toString("hex"))).toBe(format);
});
