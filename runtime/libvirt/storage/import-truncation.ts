/**
 * Whether an image's file is whole. QEMU reads zeros beyond the end of one that was cut off, without a word, so
 * its metadata must not refer to anything there.
 */
import * as zlib from "node:zlib";
import type { Context } from "../../hypervisor/context.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import { readImage, refuse, type SourceImage } from "./import-file.ts";

/** Milliseconds for what reads an image's metadata. */
const TIMEOUT = 600_000;

/** Throws `invalid_input` for an image that is damaged or cut off. `head` is its first sector, `size` its bytes. */
export async function refuseTruncated(
  ctx: Context,
  image: SourceImage,
  { source, head, size }: { source: string; head: Buffer; size: number },
) {
  const { format } = image;
  if (format === "raw") return;
  // both count in sectors, and QEMU takes a part of one for a whole one
  if ((format === "vmdk" || format === "vhdx") && size % 512 > 0)
    throw refuse(source, "is truncated");
  const argv = ["qemu-img", "check", "--output=json", "-f", format, "/proc/self/fd/3"];
  const check = await readImage(ctx, image, argv, { timeout: TIMEOUT });
  if (check.exitCode === 99) throw programError("qemu-img check", check);
  // 0: whole, 3: leaked clusters (harmless), 63: this format has no check
  if (![0, 3, 63].includes(check.exitCode))
    throw refuse(source, `is damaged or truncated: ${check.stderr.split("\n")[0]}`);
  if (format === "vmdk" && (await vmdkEnd(ctx, image)) > size) throw refuse(source, "is truncated");
  if (format !== "qcow2") return;
  const clusters = JSON.parse(check.stdout)["image-end-offset"] ?? 0;
  // the last cluster may be there in part, as far as it is used
  if (clusters > size && (await qcow2IsCut(ctx, image, { source, head, size })))
    throw refuse(source, "is truncated");
}

/** Where the last grain ends; of compressed grains it is not told, and they have check sums. */
const MAP_END = `qemu-img map --output=json -f vmdk /proc/self/fd/3 | awk '
function number(key) { return match($0, "\\"" key "\\": [0-9]+") ? substr($0, RSTART + length(key) + 4, RLENGTH - length(key) - 4) : -1 }
{ at = number("offset"); if (at >= 0 && at + number("length") > end) end = at + number("length") }
END { if (NR == 0) exit 1; printf "%.0f", end }'`;

async function vmdkEnd(ctx: Context, image: SourceImage): Promise<number> {
  const done = await readImage(ctx, image, ["sh", "-c", MAP_END], { timeout: TIMEOUT });
  if (done.exitCode !== 0) throw programError("qemu-img map", done);
  return Number(done.stdout);
}

/** Prints pieces of the image in base64: their length, and the first byte of each, which is 1 at the beginning. */
const PIECES = `length=$1; shift
for at in "$@"; do tail -c "+$at" /proc/self/fd/3 | head -c "$length"; done | base64`;

/** Bytes of tables that are read at a time, and in all: 16 TiB of an image with clusters of 64 KiB or more. */
const AT_ONCE = 4 * 1024 ** 2;
const MOST = 2 * 1024 ** 3;

/**
 * Whether data lies beyond the end of a qcow2, or the tables that tell where it is (L1 and L2):
 * https://www.qemu.org/docs/master/interop/qcow2.html
 */
async function qcow2IsCut(
  ctx: Context,
  image: SourceImage,
  { source, head, size }: { source: string; head: Buffer; size: number },
): Promise<boolean> {
  const bits = head.readUInt32BE(20);
  const wide = head.readUInt32BE(4) >= 3 && (head.readUInt8(79) & 16) > 0;
  const cluster = 2 ** bits;
  const pieces = async (length: number, places: number[]) => {
    const argv = ["sh", "-c", PIECES, "sh", `${length}`, ...places.map((at) => `${at + 1}`)];
    const done = await readImage(ctx, image, argv, { timeout: TIMEOUT });
    if (done.exitCode !== 0) throw programError("reading the image's tables", done);
    return Buffer.from(done.stdout, "base64");
  };
  const l1 = { at: Number(head.readBigUInt64BE(40)), length: head.readUInt32BE(36) * 8 };
  const listed = await pieces(l1.length, [l1.at]);
  const tables = Array.from({ length: Math.floor(listed.length / 8) }, (_, i) => ({
    at: offsetAt(listed, i * 8),
    guest: (i * cluster * cluster) / (wide ? 16 : 8),
  })).filter(({ at }) => at > 0);
  if (tables.length * Math.max(cluster, 65_536) > MOST)
    throw refuse(
      source,
      "ends within a cluster, and is too large to see what is missing; qemu-img convert makes a whole copy",
    );
  let end = l1.at + l1.length;
  let last = { at: 0, end: 0 };
  const batch = Math.max(1, Math.floor(AT_ONCE / cluster));
  for (let from = 0; from < tables.length; from += batch) {
    const some = tables.slice(from, from + batch);
    const read = await pieces(
      cluster,
      some.map(({ at }) => at),
    );
    some.forEach(({ at, guest }, i) => {
      const table = read.subarray(i * cluster, (i + 1) * cluster);
      const found = tableEnds(table, { bits, wide, room: image.virtualSize - guest });
      end = Math.max(end, at + cluster, found.end);
      if (found.compressed.at > last.at) last = found.compressed;
    });
  }
  if (end > size || last.end <= size) return end > size;
  // how much of its last sector a compressed cluster needs, only its data tells
  if (last.end - size >= 512) return true;
  const data = await pieces(size - last.at, [last.at]);
  return inflatedSize(data, head, cluster) < cluster;
}

/** How many bytes compressed data makes, as far as it is there; 0 if it is more than it may be. */
function inflatedSize(data: Buffer, head: Buffer, maxOutputLength: number): number {
  const zstd =
    head.readUInt32BE(4) >= 3 && (head.readUInt8(79) & 8) > 0 && head.readUInt8(104) === 1;
  try {
    if (zstd) return zlib.zstdDecompressSync(data, { maxOutputLength }).length;
    const finishFlush = zlib.constants.Z_SYNC_FLUSH;
    return zlib.inflateRawSync(data, { finishFlush, maxOutputLength }).length;
  } catch {
    return 0;
  }
}

/** The bits 9 to 55 of an entry. */
const offsetAt = (table: Buffer, i: number) =>
  (table.readUInt32BE(i) & 0xff_ffff) * 2 ** 32 + ((table.readUInt32BE(i + 4) & ~0x1ff) >>> 0);

/**
 * Where the data of one L2 table ends, and the last of its compressed clusters lies. `room` is what the guest's
 * disk has from the table's beginning on.
 */
export function tableEnds(
  table: Buffer,
  { bits, wide, room }: { bits: number; wide: boolean; room: number },
) {
  const cluster = 2 ** bits;
  const step = wide ? 16 : 8; // the second half of a wide entry: what of the cluster is there
  const x = BigInt(70 - bits);
  let end = 0;
  let compressed = { at: 0, end: 0 };
  for (let i = 0; i + step <= table.length; i += step) {
    if (table.readUInt32BE(i) & 0x4000_0000) {
      // an offset of x bits, then how many more sectors there are
      const entry = table.readBigUInt64BE(i) & ((1n << 62n) - 1n);
      const at = entry & ((1n << x) - 1n);
      if (at > compressed.at)
        compressed = { at: Number(at), end: Number(((at >> 9n) + (entry >> x) + 1n) * 512n) };
      continue;
    }
    const at = offsetAt(table, i);
    const zero = !wide && (table.readUInt32BE(i + 4) & 1) > 0;
    const parts = wide ? 32 - Math.clz32(table.readUInt32BE(i + 12)) : 32;
    if (at === 0 || zero || parts === 0) continue;
    end = Math.max(end, at + Math.min((parts * cluster) / 32, room - (i / step) * cluster));
  }
  return { end, compressed };
}
