/** The headers of a tar archive: POSIX.1-1988 (ustar), with GNU's sizes of 8 GiB and more, and pax's. */
import { ApplianceProblem, plainName } from "./appliance.ts";

export const BLOCK = 512;

export interface Header {
  /** "0" a file, "x" pax records of the next file, "g" of all; any other is none that an OVA needs. */
  type: string;
  name: string;
  /** Of the data behind the header, in bytes. */
  size: number;
}

/** Undefined for the block of zeros that ends an archive. Throws `ApplianceProblem` for one that is no header. */
export function parseHeader(block: Buffer): Header | undefined {
  if (block.length !== BLOCK) throw new ApplianceProblem("is a tar archive that is cut off");
  if (block.every((byte) => byte === 0)) return undefined;
  if (checksum(block) !== octal(block, 148, 8))
    throw new ApplianceProblem("is a tar archive with a damaged header");
  const type = String.fromCharCode(block[156] || 48);
  const prefix = block.toString("latin1", 257, 262) === "ustar" ? text(block, 345, 155) : "";
  const name = text(block, 0, 100);
  return { type, name: prefix && type === "0" ? `${prefix}/${name}` : name, size: sizeIn(block) };
}

const text = (block: Buffer, at: number, length: number) => {
  const bytes = block.subarray(at, at + length);
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? length : end);
};

function octal(block: Buffer, at: number, length: number): number {
  const digits = text(block, at, length).trim();
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
}

/** The sum of all bytes, with spaces for the sum itself. */
function checksum(block: Buffer): number {
  let sum = 0;
  for (const [i, byte] of block.entries()) sum += i >= 148 && i < 156 ? 32 : byte;
  return sum;
}

/** GNU tar writes a large size in binary, its first bit set. */
function sizeIn(block: Buffer): number {
  const isBinary = ((block[124] ?? 0) & 0x80) > 0;
  if (!isBinary) return checked(octal(block, 124, 12));
  if (block[124] !== 0x80 || block.subarray(125, 128).some((byte) => byte !== 0))
    return checked(Number.NaN);
  return checked(Number(block.readBigUInt64BE(128)));
}

function checked(size: number): number {
  if (Number.isSafeInteger(size) && size >= 0) return size;
  throw new ApplianceProblem("is a tar archive with a size that is none");
}

/** The records of a pax header that say something about the next file. */
export function parsePax(data: Buffer): { path?: string; size?: number } {
  const found: { path?: string; size?: number } = {};
  let rest = data.toString("utf8");
  while (rest !== "" && !/^\0*$/.test(rest)) {
    const [whole = "", length = "", key = "", value = ""] =
      rest.match(/^(\d+) ([^=\n]+)=([^\n]*)\n/) ?? [];
    if (Number(length) !== Buffer.byteLength(whole) || whole === "")
      throw new ApplianceProblem("is a tar archive with a damaged pax header");
    if (key === "path") found.path = value;
    if (key === "size") found.size = checked(/^\d{1,16}$/.test(value) ? Number(value) : Number.NaN);
    rest = rest.slice(whole.length);
  }
  return found;
}

export interface Member {
  name: string;
  /** Where its data begins in the archive. */
  offset: number;
  size: number;
}

/** The place of the next header behind data of this size. */
export const nextHeader = (offset: number, size: number) =>
  offset + Math.ceil(size / BLOCK) * BLOCK;

/** Throws for a member that is no plain file of a plain name, that there is already, or that is longer than the archive. */
export function assertMember(
  { type, name, size }: Header,
  offset: number,
  archive: number,
  known: Member[],
): Member {
  if (type !== "0")
    throw new ApplianceProblem(
      `has ${JSON.stringify(name)} in it, which is no file (type ${JSON.stringify(type)})`,
    );
  const plain = plainName(name);
  if (offset + size > archive)
    throw new ApplianceProblem(
      `says that ${JSON.stringify(plain)} has ${size} bytes, and ends before`,
    );
  if (known.some((member) => member.name === plain))
    throw new ApplianceProblem(`has ${JSON.stringify(plain)} in it twice`);
  return { name: plain, offset, size };
}
