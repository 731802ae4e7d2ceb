/** Where the data of a qcow2 ends, from its L2 tables. */
import { expect, test } from "vitest";
import { tableEnds } from "../../../../runtime/libvirt/storage/import-qcow2.ts";

const COPIED = 1n << 63n;
const COMPRESSED = 1n << 62n;
const at = (offset: number) => COPIED | BigInt(offset);
const ROOM = 2 ** 40;

function table(...entries: bigint[]) {
  const buffer = Buffer.alloc(entries.length * 8);
  for (const [i, entry] of entries.entries()) buffer.writeBigUInt64BE(entry, i * 8);
  return buffer;
}

test.each<[string, bigint[], number, number]>([
  ["nothing", [0n, 0n], ROOM, 0],
  ["clusters in any order", [at(0x50000), 0n, at(0x90000), at(0x70000)], ROOM, 0xa0000],
  ["beyond 4 GiB", [at(0x7f_ffff_0000)], ROOM, 0x80_0000_0000],
  ["one that reads as zeros", [at(0x50000) | 1n, 1n], ROOM, 0],
  ["the last, in which the guest's disk ends", [at(0x50000), at(0x60000)], 0x10000 + 1536, 0x60600],
  ["one beyond the guest's disk", [at(0x50000), at(0x60000)], 0x10000, 0x60000],
])("%s", (_what, entries, room, end) => {
  const found = tableEnds(table(...entries), { bits: 16, wide: false, room });
  expect(found).toEqual({ end, compressed: { at: 0, end: 0 } });
});

test.each([
  [9, 61n],
  [16, 54n],
  [21, 49n],
])("compressed clusters of 2^%i bytes: the last one, to the end of its sectors", (bits, x) => {
  const data = (offset: number, sectors: number) =>
    COMPRESSED | (BigInt(sectors) << x) | BigInt(offset);
  const entries = table(data(0x50010, 1), data(0x50300, 0), data(0x50100, 0), at(0x10000));
  expect(tableEnds(entries, { bits, wide: false, room: ROOM })).toEqual({
    end: 0x10000 + 2 ** bits,
    compressed: { at: 0x50300, end: 0x50400 },
  });
});

test("wide entries: as far as subclusters are there", () => {
  const wide = (...entries: bigint[]) =>
    tableEnds(table(...entries), { bits: 16, wide: true, room: ROOM }).end;
  expect(wide(at(0x50000), 0b101n)).toBe(0x50000 + 3 * 2048);
  expect(wide(at(0x50000), 0xffff_ffffn)).toBe(0x60000);
  expect(wide(at(0x50000), 0xffff_ffff_0000_0000n)).toBe(0); // all of them read as zeros
  expect(wide(at(0x50000), 0n, 0n, 0n)).toBe(0);
});
