/** The parsers of VMX, of manifests, of tar headers and of VMDK descriptors. */
import { describe, expect, test } from "vitest";
import type { Context } from "../../../../runtime/hypervisor/context.ts";
import { readMembers } from "../../../../runtime/libvirt/import/archive.ts";
import { parseDescriptor } from "../../../../runtime/libvirt/import/flat-vmdk.ts";
import { parseManifest } from "../../../../runtime/libvirt/import/manifest.ts";
import {
  assertMember,
  type Header,
  nextHeader,
  parseHeader,
  parsePax,
} from "../../../../runtime/libvirt/import/tar.ts";
import { parseVmx } from "../../../../runtime/libvirt/import/vmx.ts";

describe("a VMX", () => {
  const vmx = (...lines: string[]) =>
    parseVmx(Buffer.from(['config.version = "8"', ...lines].join("\r\n")));

  test("of almost nothing", () => {
    expect(vmx()).toEqual({
      ...{ name: undefined, memory: undefined, vcpus: 1, firmware: "bios", guest: undefined },
      ...{ disks: [], networks: [], sizes: new Map() },
    });
  });

  test("keys in any letters, values with escapes, comments", () => {
    const text = [
      "#!/usr/bin/vmware",
      'DisplayName = "a |22b|22 |7Cc"',
      'MEMSIZE="512"',
      'numvcpus = "4"',
      'guestOS = "windows9-64"',
    ];
    expect(vmx(...text)).toMatchObject({
      name: 'a "b" |c',
      memory: 512,
      vcpus: 4,
      guest: "windows9-64",
    });
  });

  test("firmware", () => {
    expect(vmx('firmware = "efi"').firmware).toBe("uefi");
    expect(vmx('firmware = "efi"', 'uefi.secureBoot.enabled = "TRUE"').firmware).toBe(
      "uefi-secure",
    );
    expect(vmx('uefi.secureBoot.enabled = "TRUE"').firmware).toBe("bios");
  });

  test("disks: those that are there, in order, without drives of CDs", () => {
    const at = (place: string, file: string, more = "") => [
      `${place}.present = "TRUE"`,
      `${place}.fileName = "${file}"`,
      more,
    ];
    const lines = [
      ...at("nvme0:0", "n.vmdk"),
      ...at("scsi1:0", "s10.vmdk"),
      ...at("scsi0:10", "s0a.vmdk"),
      ...at("scsi0:2", "s02.vmdk"),
      ...at("sata0:1", "cd.iso", 'sata0:1.deviceType = "cdrom-image"'),
      ...at("ide0:0", "i.vmdk", 'ide0:0.deviceType = "ata-hardDisk"'),
      'scsi0:3.fileName = "off.vmdk"',
      'scsi0:4.present = "FALSE"',
      'scsi0:4.fileName = "off.vmdk"',
    ];
    expect(vmx(...lines).disks.map(({ file }) => file)).toEqual([
      "i.vmdk",
      "s02.vmdk",
      "s0a.vmdk",
      "s10.vmdk",
      "n.vmdk",
    ]);
  });

  test("networks", () => {
    const lines = [
      ...[
        'ethernet1.present = "TRUE"',
        'ethernet1.networkName = "LAN"',
        'ethernet1.address = "00:50:56:00:00:01"',
      ],
      ...['ethernet0.present = "true"', 'ethernet0.generatedAddress = "00:0c:29:00:00:01"'],
      ...[
        'ethernet2.present = "TRUE"',
        'ethernet2.connectionType = "custom"',
        'ethernet2.vnet = "VMnet2"',
      ],
      'ethernet3.present = "FALSE"',
    ];
    expect(vmx(...lines).networks).toEqual([
      { network: "bridged", mac: "00:0c:29:00:00:01" },
      { network: "LAN", mac: "00:50:56:00:00:01" },
      { network: "VMnet2", mac: undefined },
    ]);
  });

  test.each<[string, string[], RegExp]>([
    [
      "a path out",
      ['scsi0:0.present = "TRUE"', 'scsi0:0.fileName = "../x.vmdk"'],
      /lies elsewhere/,
    ],
    [
      "an absolute path",
      ['scsi0:0.present = "TRUE"', 'scsi0:0.fileName = "/x.vmdk"'],
      /lies elsewhere/,
    ],
    [
      "a path by an escape",
      ['scsi0:0.present = "TRUE"', 'scsi0:0.fileName = "..|2Fx.vmdk"'],
      /lies elsewhere/,
    ],
    ["memory that is no number", ['memsize = "-1"'], /"-1" for memsize/],
    ["vCPUs that are none", ['numvcpus = "0x2"'], /"0x2" for numvcpus/],
  ])("refused: %s", (_what, lines, message) => {
    expect(() => vmx(...lines)).toThrow(message);
  });

  test("refused: another file", () => {
    expect(() => parseVmx(Buffer.from('a = "b"'))).toThrow(/no VMX/);
  });
});

describe("a manifest", () => {
  const sha1 = "a".repeat(40);
  test("as VMware and VirtualBox write it", () => {
    const text = `SHA256(a b.ovf)= ${"AB".repeat(32)}\r\nSHA1 (d.vmdk) = ${sha1}\n\nSHA512(x)= ${"0".repeat(128)}\n`;
    expect(parseManifest(Buffer.from(text))).toEqual(
      new Map([
        ["a b.ovf", { algorithm: "sha256", value: "ab".repeat(32) }],
        ["d.vmdk", { algorithm: "sha1", value: sha1 }],
        ["x", { algorithm: "sha512", value: "0".repeat(128) }],
      ]),
    );
  });

  test.each([
    ["another algorithm", `MD5(a)= ${"0".repeat(32)}`, /no digest/],
    ["a short digest", "SHA1(a)= 00", /no digest/],
    ["no digest", "hello", /no digest/],
    ["a path", `SHA1(../a)= ${sha1}`, /lies elsewhere/],
    ["one file twice", `SHA1(a)= ${sha1}\nSHA1(a)= ${sha1}`, /two digests of a/],
  ])("refused: %s", (_what, text, message) => {
    expect(() => parseManifest(Buffer.from(text))).toThrow(message);
  });
});

/** A header as tar writes it. */
function header(
  fields: {
    name?: string;
    size?: string | Buffer;
    type?: string;
    prefix?: string;
    magic?: string;
  } = {},
) {
  const {
    name = "a.vmdk",
    size = "00000000012\0",
    type = "0",
    prefix = "",
    magic = "ustar\0",
  } = fields;
  const block = Buffer.alloc(512);
  block.write(name, 0);
  if (typeof size === "string") block.write(size, 124);
  else size.copy(block, 124);
  block.write(type, 156, "latin1");
  block.write(magic, 257);
  block.write(prefix, 345);
  const sum = block.reduce((all, byte) => all + byte, 0) + 8 * 32;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

const binary = (value: bigint, first = 0x80) => {
  const field = Buffer.alloc(12);
  field[0] = first;
  field.writeBigUInt64BE(value, 4);
  return field;
};

test("an archive of headers without files is not read on and on", async () => {
  const block = header({ type: "x", size: "00000000000\0" });
  let read = 0;
  const exec = async (argv: string[]) => {
    read++;
    const stdout = argv.at(-1) === "0" ? "" : block.toString("base64");
    return { stdout, stderr: "", exitCode: 0 };
  };
  const archive = { path: "/srv/x.ova", id: "1", size: 2 ** 40, head: block, label: "x" };
  const refused = readMembers({ exec } as unknown as Context, archive);
  await expect(refused).rejects.toThrow("x has more than 200 files");
  expect(read).toBeLessThan(1000);
});

describe("a tar header", () => {
  test.each<[string, Buffer, Header]>([
    ["of ustar", header(), { type: "0", name: "a.vmdk", size: 10 }],
    ["of an old tar", header({ type: "\0", magic: "" }), { type: "0", name: "a.vmdk", size: 10 }],
    ["with a prefix", header({ prefix: "dir" }), { type: "0", name: "dir/a.vmdk", size: 10 }],
    [
      "of 20 GiB",
      header({ size: binary(20n << 30n) }),
      { type: "0", name: "a.vmdk", size: 20 * 2 ** 30 },
    ],
    ["of a link", header({ type: "2" }), { type: "2", name: "a.vmdk", size: 10 }],
  ])("%s", (_what, block, expected) => {
    expect(parseHeader(block)).toEqual(expected);
  });

  test("the end", () => {
    expect(parseHeader(Buffer.alloc(512))).toBeUndefined();
    expect([
      nextHeader(512, 0),
      nextHeader(512, 1),
      nextHeader(512, 512),
      nextHeader(512, 513),
    ]).toEqual([512, 1024, 1024, 1536]);
  });

  test.each<[string, Buffer, RegExp]>([
    ["cut off", Buffer.alloc(100), /cut off/],
    ["no header", Buffer.alloc(512, "x"), /damaged header/],
    ["a negative size", header({ size: binary(5n, 0xff) }), /a size that is none/],
    ["a size beyond all", header({ size: binary((1n << 63n) + 5n) }), /a size that is none/],
    ["a size of letters", header({ size: "0000000zzzz\0" }), /a size that is none/],
  ])("refused: %s", (_what, block, message) => {
    expect(() => parseHeader(block)).toThrow(message);
  });

  test("pax records", () => {
    const record = (text: string) => {
      for (let length = text.length; ; length++) {
        const whole = `${length} ${text}\n`;
        if (whole.length === length) return whole;
      }
    };
    const data = Buffer.from(
      `${record("mtime=1.5")}${record("size=9000000000")}${record("path=b c.vmdk")}\0\0`,
    );
    expect(parsePax(data)).toEqual({ path: "b c.vmdk", size: 9e9 });
    for (const bad of ["8 size=1\n", "size=1\n", record("size=-1"), record("size=1e3")])
      expect(() => parsePax(Buffer.from(bad))).toThrow(/pax header|size that is none/);
  });

  const member = (more: Partial<Header> = {}) => ({ type: "0", name: "a.vmdk", size: 10, ...more });
  test("a member", () => {
    expect(assertMember(member({ name: "./a.vmdk" }), 512, 1024, [])).toEqual({
      name: "a.vmdk",
      offset: 512,
      size: 10,
    });
  });

  test.each<[string, Partial<Header>, RegExp]>([
    ["a link", { type: "2" }, /no file \(type "2"\)/],
    ["a hard link", { type: "1" }, /no file/],
    ["a folder", { type: "5", name: "d/" }, /no file/],
    ["a device", { type: "4" }, /no file/],
    ["a long name of GNU's", { type: "L" }, /no file/],
    ["a way out", { name: "../../a" }, /lies elsewhere/],
    ["an absolute path", { name: "/a" }, /lies elsewhere/],
    ["a folder before it", { name: "b/a" }, /lies elsewhere/],
    ["a line break", { name: "a\nb" }, /lies elsewhere/],
    ["longer than the archive", { size: 600 }, /has 600 bytes, and ends before/],
    ["there already", { name: "old" }, /in it twice/],
  ])("refused: %s", (_what, more, message) => {
    const known = [{ name: "old", offset: 0, size: 1 }];
    expect(() => assertMember(member(more), 512, 1024, known)).toThrow(message);
  });
});

describe("a VMDK descriptor", () => {
  const descriptor = (extents: string, parent = "ffffffff") =>
    `# Disk DescriptorFile\nversion=1\nparentCID=${parent}\n# Extent description\n${extents}\n`;

  test("of one flat file", () => {
    const flat = { name: "a b-flat.vmdk", bytes: 2048 * 512 };
    expect(parseDescriptor(descriptor('RW 2048 VMFS "a b-flat.vmdk"'), "x")).toEqual(flat);
    expect(parseDescriptor(descriptor('RW 2048 FLAT "a b-flat.vmdk" 0'), "x")).toEqual(flat);
  });

  test.each([
    ["sparse", descriptor('RW 2048 SPARSE "a.vmdk"'), /more than one flat file/],
    ["two", descriptor('RW 1 FLAT "a" 0\nRW 1 FLAT "b" 0'), /more than one flat file/],
    ["none", descriptor(""), /more than one flat file/],
    ["not to be read", descriptor('NOACCESS 1 FLAT "a" 0'), /more than one flat file/],
    ["a device", descriptor('RW 1 VMFSRDM "a"'), /more than one flat file/],
    ["a snapshot", descriptor('RW 1 FLAT "a" 0', "0badcafe"), /snapshot/],
    ["a way out", descriptor('RW 1 FLAT "/etc/passwd" 0'), /lies elsewhere/],
  ])("refused: %s", (_what, text, message) => {
    expect(() => parseDescriptor(text, "x")).toThrow(message);
  });
});
