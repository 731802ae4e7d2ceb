/**
 * Where the data of a qcow2 ends, from its tables (L1 and L2):
 * https://www.qemu.org/docs/master/interop/qcow2.html
 */
import * as zlib from "node:zlib";
import type { Context } from "../../hypervisor/context.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import { runOnImage, type SourceImage } from "./import-file.ts";

/** Upper bound for reading an image's metadata. */
export const METADATA_TIMEOUT_MS = 600_000;

const MAX_BYTES_PER_READ = 4 * 1024 ** 2;
/** The tables of 16 TiB in clusters of 64 KiB. */
const MAX_TABLE_BYTES = 2 * 1024 ** 3;

export interface Qcow2Header {
  clusterBits: number;
  clusterSize: number;
  /** Entries of 16 bytes, whose second half tells which subclusters are there. */
  extendedL2: boolean;
  zstd: boolean;
  l1: { offset: number; length: number };
}

/** Reads the fields of a qcow2's first sector. */
export function readQcow2Header(head: Buffer): Qcow2Header {
  const clusterBits = head.readUInt32BE(20);
  const features = head.readUInt32BE(4) >= 3 ? head.readUInt8(79) : 0;
  return {
    clusterBits,
    clusterSize: 2 ** clusterBits,
    extendedL2: (features & 16) > 0,
    zstd: (features & 8) > 0 && head.readUInt8(104) === 1,
    l1: { offset: Number(head.readBigUInt64BE(40)), length: head.readUInt32BE(36) * 8 },
  };
}

/** The end of the data and tables, and the last compressed cluster; both as offsets in the file. */
export interface Qcow2Ends {
  end: number;
  compressed: { at: number; end: number };
}

/** Reads all tables; undefined if they are too large to be read. */
export async function readQcow2Ends(
  ctx: Context,
  image: SourceImage,
  { clusterBits, clusterSize, extendedL2, l1 }: Qcow2Header,
): Promise<Qcow2Ends | undefined> {
  const l1Table = await readPieces(ctx, image, l1.length, [l1.offset]);
  const l2Tables = Array.from({ length: Math.floor(l1Table.length / 8) }, (_, i) => ({
    at: offsetAt(l1Table, i * 8),
    guestOffset: (i * clusterSize * clusterSize) / (extendedL2 ? 16 : 8),
  })).filter(({ at }) => at > 0);
  if (l2Tables.length * Math.max(clusterSize, 65_536) > MAX_TABLE_BYTES) return undefined;
  const ends: Qcow2Ends = { end: l1.offset + l1.length, compressed: { at: 0, end: 0 } };
  const batchSize = Math.max(1, Math.floor(MAX_BYTES_PER_READ / clusterSize));
  for (let from = 0; from < l2Tables.length; from += batchSize) {
    const batch = l2Tables.slice(from, from + batchSize);
    const offsets = batch.map(({ at }) => at);
    const tables = await readPieces(ctx, image, clusterSize, offsets);
    batch.forEach(({ at, guestOffset }, i) => {
      const table = tables.subarray(i * clusterSize, (i + 1) * clusterSize);
      const room = image.virtualSize - guestOffset;
      const { end, compressed } = tableEnds(table, { bits: clusterBits, wide: extendedL2, room });
      ends.end = Math.max(ends.end, at + clusterSize, end);
      if (compressed.at > ends.compressed.at) ends.compressed = compressed;
    });
  }
  return ends;
}

/** Whether the rest of the file, from `offset` on, holds the whole of a compressed cluster. */
export async function holdsCluster(
  ctx: Context,
  image: SourceImage,
  { clusterSize, zstd }: Qcow2Header,
  { offset, fileSize }: { offset: number; fileSize: number },
): Promise<boolean> {
  const data = await readPieces(ctx, image, fileSize - offset, [offset]);
  return inflatedSize(data, zstd, clusterSize) >= clusterSize;
}

/** Prints pieces of the image in base64: their length, and the first byte of each, which is 1 at the beginning. */
const PIECES = `length=$1; shift
for at in "$@"; do tail -c "+$at" /proc/self/fd/3 | head -c "$length"; done | base64`;

async function readPieces(ctx: Context, image: SourceImage, length: number, offsets: number[]) {
  const starts = offsets.map((offset) => `${offset + 1}`);
  const argv = ["sh", "-c", PIECES, "sh", `${length}`, ...starts];
  const result = await runOnImage(ctx, image, argv, { timeout: METADATA_TIMEOUT_MS });
  if (result.exitCode !== 0) throw programError("reading the image's tables", result);
  return Buffer.from(result.stdout, "base64");
}

/** The size that compressed data inflates to, as far as it is there; 0 if it exceeds `maxOutputLength`. */
function inflatedSize(data: Buffer, zstd: boolean, maxOutputLength: number): number {
  try {
    if (zstd) return zlib.zstdDecompressSync(data, { maxOutputLength }).length;
    const finishFlush = zlib.constants.Z_SYNC_FLUSH;
    return zlib.inflateRawSync(data, { finishFlush, maxOutputLength }).length;
  } catch {
    return 0;
  }
}

/** The offset in a table's entry: its bits 9 to 55. */
const offsetAt = (table: Buffer, i: number) =>
  (table.readUInt32BE(i) & 0xff_ffff) * 2 ** 32 + ((table.readUInt32BE(i + 4) & ~0x1ff) >>> 0);

/**
 * Where the data of one L2 table ends, and where the last of its compressed clusters lies. `room` is the size of
 * the guest's disk from the table's beginning on.
 */
export function tableEnds(
  table: Buffer,
  { bits, wide, room }: { bits: number; wide: boolean; room: number },
): Qcow2Ends {
  const cluster = 2 ** bits;
  const step = wide ? 16 : 8;
  const x = BigInt(70 - bits);
  let end = 0;
  let compressed = { at: 0, end: 0 };
  for (let i = 0; i + step <= table.length; i += step) {
    if (table.readUInt32BE(i) & 0x4000_0000) {
      // a compressed cluster: an offset of x bits, then the number of further sectors
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
