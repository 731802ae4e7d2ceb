/** Images from outside: what is refused by its first bytes, before any program has opened it. */
import { randomBytes } from "node:crypto";
import { deflateRawSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { Context } from "../../../../runtime/hypervisor/context.ts";
import {
  allowedPath,
  conversionError,
  inspectImage,
  Path,
} from "../../../../runtime/libvirt/storage/import-image.ts";

interface File {
  header?: Buffer;
  /** The last sector. */
  tail?: Buffer;
  size?: number;
  /** The path without links, and the one that was then opened. */
  real?: string;
  opened?: string;
  /** What qemu-img says: an answer, or an exit code and standard error. */
  info?: object | [number, string];
  /** What it says of the same as a VHD. */
  vhd?: object;
  check?: object | [number, string];
  /** Where the last grain of a VMDK ends. */
  map?: number;
  /** What is in the file at an offset. */
  pieces?: Record<number, Buffer>;
}

const result = (said: object | [number, string]) =>
  Array.isArray(said)
    ? { exitCode: said[0] as number, stdout: "{}", stderr: said[1] as string }
    : { exitCode: 0, stdout: JSON.stringify(said), stderr: "" };

/** A hypervisor with one file in /data. */
function having({
  header = Buffer.alloc(512),
  tail = Buffer.alloc(512),
  size = 2 ** 20,
  real = "/data/x",
  opened = real,
  ...said
}: File) {
  const ran: string[] = [];
  const exec: Context["exec"] = async (argv, { input = "" } = {}) => {
    if (argv[0] === "xargs") {
      const paths = `${input}`.split("\0").map((path) => (path === "/data/x" ? real : path));
      return { exitCode: 0, stderr: "", stdout: paths.map((path) => `${path}\0`).join("") };
    }
    const at = argv.indexOf("qemu-img");
    if (argv[at + 1] === "map") return { exitCode: 0, stderr: "", stdout: `${said.map ?? 0}` };
    if (argv.some((word) => word.startsWith("length=$1"))) {
      const [length = 0, ...starts] = argv.slice(argv.lastIndexOf("sh") + 1).map(Number);
      const found = starts.map((start) => {
        const piece = said.pieces?.[start - 1] ?? Buffer.alloc(0);
        return piece.subarray(0, Math.min(length, size - (start - 1)));
      });
      return { exitCode: 0, stderr: "", stdout: Buffer.concat(found).toString("base64") };
    }
    if (at < 0) {
      const stdout = `1:2:${size}:2026-01-01 00:00:00.0 +0000\n${header.toString("hex")}\n${tail.toString("hex")}\n${opened}`;
      return { exitCode: 0, stderr: "", stdout };
    }
    const verb = `${argv[at + 1]}`;
    ran.push(verb);
    const raw = { format: "raw", "virtual-size": size };
    const isVhd = argv.at(-1)?.startsWith("json:");
    const info = isVhd ? { format: "vpc", ...said.vhd } : (said.info ?? raw);
    return result(verb === "info" ? info : (said.check ?? { "image-end-offset": size }));
  };
  return { ctx: { exec } as unknown as Context, ran };
}

async function refusal(file: File, expected?: "raw" | "qcow2") {
  const { ctx, ran } = having(file);
  const { code, message } = await inspectImage(ctx, "/data/x", expected).then(
    () => ({ code: "accepted", message: "" }),
    (error) => error,
  );
  return { code, message, ran };
}

const text = (words: string) => Buffer.from(words.padEnd(512, "\n"));

/** A header of zeros with these bytes in it. */
function bytes(...values: [at: number, hex: string][]) {
  const header = Buffer.alloc(512);
  for (const [at, hex] of values) header.write(hex, at, "hex");
  return header;
}

const QCOW2 = [0, "514649fb"] as [number, string];
const VDI = [0x40, "7f10dabe"] as [number, string];

describe("by the first bytes: qemu-img never sees it", () => {
  test.each<[string, File, RegExp]>([
    ["empty", { size: 0, header: Buffer.alloc(0) }, /"\/data\/x" is empty$/],
    [
      "a VMDK descriptor",
      { header: text("# Disk DescriptorFile\nversion=1\n") },
      /VMDK descriptor/,
    ],
    ["one without that line", { header: text("version=1\nCID=1\n") }, /VMDK descriptor/],
    ["one with another comment", { header: text("# a\n#b\nversion=3\r\n") }, /VMDK descriptor/],
    ["one after blank lines", { header: text(" \n  \r\nversion=2\n") }, /VMDK descriptor/],
    ["a short one", { header: Buffer.from("#\nversion=1\n"), size: 12 }, /VMDK descriptor/],
    [
      "qcow2 with a backing file",
      { header: bytes(QCOW2, [4, "00000003"], [8, "0000000000000068"]) },
      /backing file/,
    ],
    [
      "qcow2 v2 with one",
      { header: bytes(QCOW2, [4, "00000002"], [8, "8000000000000000"]) },
      /backing file/,
    ],
    [
      "qcow2 with a data file",
      { header: bytes(QCOW2, [4, "00000003"], [79, "04"]) },
      /data in another file/,
    ],
    [
      "that among other features",
      { header: bytes(QCOW2, [4, "00000003"], [79, "ff"]) },
      /data in another file/,
    ],
    [
      "VDI, a byte short",
      {
        header: bytes(VDI, [0x158, "00002000"], [0x178, "00001000"], [0x184, "03000000"]),
        size: 0x500000 - 1,
      },
      /truncated/,
    ],
    ["swapped for a link", { opened: "/etc/shadow" }, /replaced by a link/],
    ["swapped for a name of two lines", { opened: "/data/x\n/data/x" }, /replaced by a link/],
  ])("%s", async (_what, file, why) => {
    const { code, message, ran } = await refusal(file);
    expect({ code, message }).toEqual({
      code: "invalid_input",
      message: expect.stringMatching(why),
    });
    expect(message).toMatch(/^source_path: "\/data\/x" /);
    expect(ran).toEqual([]);
  });
});

/** A qcow2 with clusters of 64 KiB whose file ends at `size`, and its last cluster at `end`. */
function cutQcow2({
  size,
  end,
  data = 0,
  compressed,
}: {
  size: number;
  end: number;
  data?: number;
  compressed?: Buffer;
}): File {
  const header = bytes(QCOW2, [4, "00000003"]);
  header.writeUInt32BE(16, 20);
  header.writeUInt32BE(1, 36);
  header.writeBigUInt64BE(BigInt(L1), 40);
  const l1 = Buffer.alloc(8);
  const l2 = Buffer.alloc(65536);
  if (data || compressed) l1.writeBigUInt64BE((1n << 63n) | BigInt(L2));
  l2.writeBigUInt64BE(data ? (1n << 63n) | BigInt(data) : 0n);
  const sectors = compressed ? Math.ceil(compressed.length / 512) - 1 : 0;
  if (compressed) l2.writeBigUInt64BE((1n << 62n) | (BigInt(sectors) << 54n) | BigInt(DATA), 8);
  const pieces = { [L1]: l1, [L2]: l2, [DATA]: compressed ?? Buffer.alloc(0) };
  return { header, size, pieces, check: { "image-end-offset": end } };
}
const [L1, L2, DATA] = [0x30000, 0x40000, 0x50000];
const ZEROS = deflateRawSync(Buffer.alloc(65536));
const BOMB = deflateRawSync(Buffer.alloc(65537));
const NOISE = deflateRawSync(randomBytes(65536));

describe("by what qemu-img says", () => {
  const info = { format: "qcow2", "virtual-size": 2 ** 20, "cluster-size": 65536 };
  test.each<[string, File, RegExp]>([
    [
      "no image",
      { info: [1, "qemu-img: Could not open '/proc/self/fd/3': Bad\nmore"] },
      /is not a readable image: qemu-img: Bad$/,
    ],
    ["changed", { info: [99, "the file has changed"] }, /changed/],
    [
      "a format of others",
      { info: { ...info, format: "qed" } },
      /is of format qed; accepted are raw, qcow2, vmdk, vdi, vhdx, vpc$/,
    ],
    ["a backing file", { info: { ...info, "backing-filename": "x" } }, /backing file/],
    [
      "a data file",
      { info: { ...info, "format-specific": { data: { "data-file": "x" } } } },
      /data in another file/,
    ],
    ["encrypted", { info: { ...info, encrypted: true } }, /is encrypted$/],
    [
      "damaged",
      { info, check: [2, "ERROR: bad\nERROR: worse"] },
      /is damaged or truncated: ERROR: bad$/,
    ],
    ["not checkable", { info, check: [1, "qemu-img: no"] }, /is damaged or truncated/],
    [
      "cut in its L1 table",
      { info, ...cutQcow2({ size: L1 + 7, end: L1 + 65536 }) },
      /is truncated$/,
    ],
    [
      "cut in its last L2 table",
      { info, ...cutQcow2({ size: L2 + 65535, end: L2 + 65536, data: DATA }) },
      /is truncated$/,
    ],
    [
      "cut in its last cluster of data",
      { info, ...cutQcow2({ size: DATA + 65535, end: DATA + 65536, data: DATA }) },
      /is truncated$/,
    ],
    [
      "cut in compressed data",
      {
        info,
        ...cutQcow2({ size: DATA + ZEROS.length - 8, end: DATA + 65536, compressed: ZEROS }),
      },
      /is truncated$/,
    ],
    [
      "with compressed data that makes more than a cluster",
      { info, ...cutQcow2({ size: DATA + BOMB.length, end: DATA + 65536, compressed: BOMB }) },
      /is truncated$/,
    ],
    [
      "cut by more than a sector of compressed data",
      { info, ...cutQcow2({ size: DATA + 512, end: DATA + 65536, compressed: NOISE }) },
      /is truncated$/,
    ],
    [
      "VMDK, a byte short",
      { size: 2 ** 20 - 1, info: { ...info, format: "vmdk" } },
      /is truncated$/,
    ],
    [
      "VHDX, a byte short",
      { size: 2 ** 20 - 1, info: { ...info, format: "vhdx" } },
      /is truncated$/,
    ],
    [
      "VMDK, whose last grain is not whole",
      { info: { ...info, format: "vmdk" }, map: 2 ** 20 + 512 },
      /is truncated$/,
    ],
  ])("%s", async (_what, file, why) => {
    const { code, message } = await refusal(file);
    expect({ code, message }).toEqual({
      code: "invalid_input",
      message: expect.stringMatching(why),
    });
  });

  test.each<[string, File, string, string[]]>([
    ["raw", {}, "raw", ["info"]],
    ["raw, shorter than any header", { size: 3, header: Buffer.from("abc") }, "raw", ["info"]],
    [
      "raw, text that is no descriptor",
      { header: text("#!/bin/sh\necho version=1\n") },
      "raw",
      ["info"],
    ],
    ["qcow2", { header: bytes(QCOW2, [4, "00000003"]), info }, "qcow2", ["info", "check"]],
    [
      "qcow2 with lazy refcounts, dirty",
      { header: bytes(QCOW2, [4, "00000003"], [79, "01"]), info },
      "qcow2",
      ["info", "check"],
    ],
    [
      "qcow2 v2, which has no features",
      { header: bytes(QCOW2, [4, "00000002"], [79, "04"]), info },
      "qcow2",
      ["info", "check"],
    ],
    [
      "part of the last cluster, where a guest's disk ends in it",
      {
        info: { ...info, "virtual-size": 4096 },
        ...cutQcow2({ size: DATA + 4096, end: DATA + 65536, data: DATA }),
      },
      "qcow2",
      ["info", "check"],
    ],
    [
      "an empty one, which ends with its L1 table",
      { info, ...cutQcow2({ size: L1 + 8, end: L1 + 65536 }) },
      "qcow2",
      ["info", "check"],
    ],
    [
      "compressed data that needs no more of its last sector",
      { info, ...cutQcow2({ size: DATA + ZEROS.length, end: DATA + 65536, compressed: ZEROS }) },
      "qcow2",
      ["info", "check"],
    ],
    [
      "VMDK, whose last grain is whole",
      { info: { ...info, format: "vmdk" }, map: 2 ** 20 },
      "vmdk",
      ["info", "check"],
    ],
    ["leaked clusters", { info, check: [3, "Leaked cluster 9"] }, "qcow2", ["info", "check"]],
    [
      "a format without a check",
      { info: { ...info, format: "vhdx" }, check: [63, "no"] },
      "vhdx",
      ["info", "check"],
    ],
    [
      "VDI, whole",
      {
        header: bytes(VDI, [0x158, "00002000"], [0x178, "00001000"], [0x184, "03000000"]),
        size: 0x500000,
        info: { ...info, format: "vdi" },
      },
      "vdi",
      ["info", "check"],
    ],
  ])("accepted: %s", async (_what, file, format, verbs) => {
    const { ctx, ran } = having(file);
    expect(await inspectImage(ctx, "/data/x")).toMatchObject({ path: "/data/x", format });
    expect(ran).toEqual(verbs);
  });
});

/** The footer of a VHD: its kind (2 fixed, 3 dynamic, 4 differencing) and the disk's size. */
function vhdFooter(kind: number, size: number) {
  const footer = Buffer.alloc(512);
  footer.write("conectix");
  footer.writeBigUInt64BE(BigInt(size), 48);
  footer.writeUInt32BE(kind, 60);
  return footer;
}

describe("VHD", () => {
  const size = 2 ** 20;
  const info = { format: "vpc", "virtual-size": 1000 };
  const vhd = { "virtual-size": size };
  const fixed = { tail: vhdFooter(2, size), size: size + 512, vhd };
  const dynamic = { header: vhdFooter(3, size), tail: vhdFooter(3, size), info, vhd };

  test.each<[string, File, number]>([
    ["fixed, which QEMU takes for raw", fixed, 2],
    ["fixed, with room before the footer", { ...fixed, size: size + 4096 }, 2],
    ["dynamic, of the size in its footer", dynamic, 2],
  ])("%s", async (_what, file, infos) => {
    const { ctx, ran } = having({ check: [63, "no"], ...file });
    const image = await inspectImage(ctx, "/data/x");
    expect(image).toMatchObject({ format: "vpc", virtualSize: size });
    expect(ran).toEqual([...Array(infos).fill("info"), "check"]);
  });

  test.each<[string, File, RegExp]>([
    ["differencing", { header: vhdFooter(4, size), tail: vhdFooter(4, size) }, /differencing VHD/],
    ["dynamic, cut off", { header: vhdFooter(3, size) }, /is truncated$/],
    [
      "dynamic, cut within its footer",
      {
        header: vhdFooter(3, size),
        tail: Buffer.concat([Buffer.alloc(1), dynamic.tail]).subarray(0, 512),
      },
      /is truncated$/,
    ],
  ])("%s: refused before qemu-img sees it", async (_what, file, why) => {
    const { code, message, ran } = await refusal(file);
    expect([code, message, ran]).toEqual(["invalid_input", expect.stringMatching(why), []]);
  });

  test.each<[string, File, "raw" | undefined]>([
    ["a footer of a larger disk", { ...fixed, tail: vhdFooter(2, 2 ** 21) }, undefined],
    ["a footer, and the caller insists", fixed, "raw"],
  ])("raw: %s", async (_what, file, expected) => {
    const image = await inspectImage(having(file).ctx, "/data/x", expected);
    expect(image).toMatchObject({ format: "raw", virtualSize: file.size });
  });
});

describe("an archive is no raw disk", () => {
  const tar = Buffer.alloc(512);
  tar.write("ustar  ", 257);
  test.each<[string, Buffer, RegExp]>([
    ["xz", bytes([0, "fd377a585a00"]), /is an xz archive; unpack it first \(xz -d\)/],
    ["gzip", bytes([0, "1f8b08"]), /is a gzip archive/],
    ["zstd", bytes([0, "28b52ffd"]), /is a zstd archive/],
    ["bzip2", bytes([0, "425a6839"]), /is a bzip2 archive/],
    ["zip", bytes([0, "504b0304"]), /is a zip archive/],
    ["OVA", tar, /is a tar archive, such as an OVA; unpack it first \(tar -xf\)/],
    ["OVF", text('<?xml version="1.0"?>'), /is an XML file, such as an OVF/],
    ["OVF with a byte order mark", text('\uFEFF<?xml version="1.0"?>'), /is an XML file/],
    ["7-Zip", bytes([0, "377abcaf271c"]), /is a 7-Zip archive/],
    ["Android sparse image", bytes([0, "3aff26ed"]), /simg2img/],
    ["a short one", Buffer.from("fd377a585a00", "hex"), /is an xz archive/],
  ])("%s", async (_what, header, why) => {
    const { code, message } = await refusal({ header });
    expect({ code, message }).toEqual({
      code: "invalid_input",
      message: expect.stringMatching(why),
    });
    expect(message).toMatch(/or import it as it is with source_format: "raw"$/);
    expect((await refusal({ header }, "raw")).code).toBe("accepted");
  });

  test.each([
    ["boot code", bytes([510, "55aa"])],
    ["an ISO image's empty beginning", Buffer.alloc(512)],
    ["words", text("BZ, PK and ustar, but no archive")],
    ["ustar elsewhere", bytes([256, "7573746172"])],
  ])("%s is raw", async (_what, header) => {
    expect((await refusal({ header })).code).toBe("accepted");
  });
});

test("a format that the caller insists on must be the image's", async () => {
  const qcow2 = { header: bytes(QCOW2, [4, "00000003"]), info: { format: "qcow2" } };
  expect(await refusal(qcow2, "raw")).toMatchObject({
    code: "invalid_input",
    message: 'source_path: "/data/x" is of format qcow2, not raw',
  });
  expect((await refusal({}, "qcow2")).message).toMatch(/is of format raw, not qcow2$/);
  expect((await refusal(qcow2, "qcow2")).code).toBe("accepted");
});

test("a conversion fails because of the image, or of something else", () => {
  const failed = (stderr: string) =>
    conversionError('source_path: "/data/x"', { exitCode: 1, stdout: "", stderr });
  expect(failed("qemu-img: error while reading at byte 8323072: Invalid argument")).toMatchObject({
    code: "invalid_input",
    message: expect.stringMatching(/^source_path: "\/data\/x" is damaged or truncated: .*8323072/),
  });
  expect(failed("qemu-img: error while writing at byte 0: No space left on device").code).not.toBe(
    "invalid_input",
  );
});

describe("allowedPath", () => {
  test.each([
    ["/data/x", "/data/x"],
    ["/data/x", "/srv/a/b"],
    ["/var/lib/libvirt/images/x", "/var/lib/libvirt/images/x"],
  ])("%s, really %s", async (path, real) => {
    expect(await allowedPath(having({ real }).ctx, path, "file")).toBe(
      path === "/data/x" ? real : path,
    );
  });

  test.each(["/etc/passwd", "/data", "/data2/x", "/database", "/", "/var/lib/libvirt2/x", ""])(
    "not %j",
    async (real) => {
      await expect(
        allowedPath(having({ real }).ctx, "/data/x", "output_path"),
      ).rejects.toMatchObject({
        code: "invalid_input",
        message: expect.stringMatching(
          /^output_path: "\/data\/x" is not in an allowed folder \(\/data, /,
        ),
      });
    },
  );
});

test.each([
  ["/data/x", true],
  ["/data/two  words 'ü' $x;y", true],
  ["data/x", false],
  ["", false],
  ["/a\nb", false],
  ["/a\0", false],
  ["/a\u0085", false],
  ["/a\ud800", false],
  [`/${"x".repeat(4096)}`, false],
])("Path %j: %s", (path, good) => {
  expect(Path.safeParse(path).success).toBe(good);
});
