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
  size?: number;
  /** The path without links, and the one that was then opened. */
  real?: string;
  opened?: string;
  /** What qemu-img says: an answer, or an exit code and standard error. */
  info?: object | [number, string];
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
  size = 2 ** 20,
  real = "/data/x",
  opened = real,
  ...said
}: File) {
  const ran: string[] = [];
  const exec = async (argv: string[]) => {
    if (argv[0] === "realpath") {
      const paths = argv
        .slice(argv.indexOf("--") + 1)
        .map((path) => (path === "/data/x" ? real : path));
      return { exitCode: 0, stderr: "", stdout: paths.map((path) => `${path}\0`).join("") };
    }
    const at = argv.indexOf("qemu-img");
    if (argv.some((word) => word.startsWith("qemu-img map")))
      return { exitCode: 0, stderr: "", stdout: `${said.map ?? 0}` };
    if (argv.some((word) => word.startsWith("length=$1"))) {
      const [length = 0, ...starts] = argv.slice(argv.lastIndexOf("sh") + 1).map(Number);
      const found = starts.map((start) => {
        const piece = said.pieces?.[start - 1] ?? Buffer.alloc(0);
        return piece.subarray(0, Math.min(length, size - (start - 1)));
      });
      return { exitCode: 0, stderr: "", stdout: Buffer.concat(found).toString("base64") };
    }
    if (at < 0) {
      const stdout = `1:2:${size}:2026-01-01 00:00:00.0 +0000\n${header.toString("hex")}\n${opened}`;
      return { exitCode: 0, stderr: "", stdout };
    }
    const verb = `${argv[at + 1]}`;
    ran.push(verb);
    const info = said.info ?? { format: "raw", "virtual-size": size };
    return result(verb === "info" ? info : (said.check ?? { "image-end-offset": size }));
  };
  return { ctx: { exec } as unknown as Context, ran };
}

async function refusal(file: File) {
  const { ctx, ran } = having(file);
  const { code, message } = await inspectImage(ctx, "/data/x").then(
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
      { info: { ...info, format: "vpc" } },
      /is of format vpc; accepted are raw, qcow2, vmdk, vdi, vhdx$/,
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

test("a conversion fails because of the image, or of something else", () => {
  const failed = (stderr: string) =>
    conversionError("/data/x", { exitCode: 1, stdout: "", stderr });
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
