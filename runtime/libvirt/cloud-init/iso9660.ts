/**
 * A CD-ROM image with a few files in its root: ISO 9660 (ECMA-119), with the files' own names as Rock Ridge for Unix
 * and as Joliet for Windows. No package of npm makes one, and a program would take longer than all else of a seed.
 */

export interface IsoFile {
  name: string;
  content: Uint8Array;
}

const SECTOR = 2048;
/** What stands before the first descriptor is empty. */
export const SYSTEM_AREA_BYTES = 16 * SECTOR;
/** By sector. Each table and directory is a sector long, which bounds the number of files. */
const PRIMARY = { descriptor: 16, pathTable: 19, directory: 23, joliet: false };
const JOLIET = { descriptor: 17, pathTable: 21, directory: 24, joliet: true };
const TERMINATOR = 18;
const FIRST_FILE = 25;

type Tree = typeof PRIMARY;
interface Placed extends IsoFile {
  sector: number;
}

/** Makes an image. `label`: at most 16 ASCII characters. The date of its files is `date`. */
export function isoImage(label: string, files: IsoFile[], date = new Date()): Buffer {
  let end = FIRST_FILE;
  const placed = files.map((file): Placed => {
    const sector = end;
    end += Math.ceil(file.content.length / SECTOR);
    return { ...file, sector };
  });
  const image = Buffer.alloc(end * SECTOR);
  const put = (sector: number, bytes: Uint8Array) => image.set(bytes, sector * SECTOR);
  for (const tree of [PRIMARY, JOLIET]) {
    put(tree.descriptor, volumeDescriptor(tree, label, end, date));
    put(tree.pathTable, pathTable(tree, "LE"));
    put(tree.pathTable + 1, pathTable(tree, "BE"));
    put(tree.directory, directory(tree, placed, date));
  }
  put(TERMINATOR, Buffer.from("\xffCD001\x01", "latin1"));
  for (const { sector, content } of placed) put(sector, content);
  return image;
}

function volumeDescriptor(tree: Tree, label: string, sectors: number, date: Date): Buffer {
  const { joliet, pathTable } = tree;
  const bytes = Buffer.alloc(SECTOR);
  const text = (value: string, at: number, length: number) =>
    bytes.set(joliet ? utf16(value.padEnd(length / 2)) : Buffer.from(value.padEnd(length)), at);
  bytes.write(`${joliet ? "\x02" : "\x01"}CD001\x01`, 0, "latin1");
  text("LINUX", 8, 32);
  text(label, 40, 32);
  bytes.set(both32(sectors), 80);
  if (joliet) bytes.write("%/E", 88, "latin1"); // UCS-2, level 3
  bytes.set(both16(1), 120);
  bytes.set(both16(1), 124);
  bytes.set(both16(SECTOR), 128);
  bytes.set(both32(PATH_TABLE_BYTES), 132);
  bytes.writeUInt32LE(pathTable, 140);
  bytes.writeUInt32BE(pathTable + 1, 148);
  bytes.set(record(tree, "\0", { sector: tree.directory, length: SECTOR, date }), 156);
  // no set, publisher, preparer, application nor other files are named
  text("", 190, 128 + 3 * 128);
  text("", 702, 3 * 37 - 1);
  const stamp = `${date.toISOString().replace(/\D/g, "").slice(0, 16)}\0`;
  const never = `${"0".repeat(16)}\0`;
  bytes.write(stamp + stamp + never + never, 813, "latin1");
  bytes[881] = 1;
  return bytes;
}

const PATH_TABLE_BYTES = 10;

/** The root alone. */
function pathTable({ directory }: Tree, order: "LE" | "BE"): Buffer {
  const bytes = Buffer.alloc(PATH_TABLE_BYTES);
  bytes[0] = 1;
  bytes[`writeUInt32${order}`](directory, 2);
  bytes[`writeUInt16${order}`](1, 6);
  return bytes;
}

/** The root directory: itself, its parent (itself again) and the files, in the order of their names. */
function directory(tree: Tree, files: Placed[], date: Date): Buffer {
  const own = { sector: tree.directory, length: SECTOR, date };
  const isRoot = tree.joliet ? Buffer.alloc(0) : Buffer.concat([SUSP, posix(0o040_555, 2)]);
  const entries = files.map(({ name, sector, content }) => {
    const identifier = tree.joliet ? `${name};1` : `${name.toUpperCase().replace(/\W/g, "_")}.;1`;
    const more = tree.joliet ? undefined : Buffer.concat([posix(0o100_400, 1), rockName(name)]);
    return { identifier, more, sector, length: content.length, date };
  });
  entries.sort((a, b) => (a.identifier < b.identifier ? -1 : 1));
  const records = [
    record(tree, "\0", {
      ...own,
      more: tree.joliet ? isRoot : Buffer.concat([isRoot, ROCK_RIDGE]),
    }),
    record(tree, "\x01", { ...own, more: tree.joliet ? isRoot : posix(0o040_555, 2) }),
    ...entries.map((entry) => record(tree, entry.identifier, entry)),
  ];
  const bytes = Buffer.concat(records);
  if (bytes.length > SECTOR) throw new Error("these files have no place in one directory");
  return bytes;
}

interface Extent {
  sector: number;
  length: number;
  date: Date;
  /** The System Use field. */
  more?: Uint8Array | undefined;
}

/** A directory record. The names "\0" and "\x01" are the directory itself and its parent. */
function record(tree: Tree, name: string, { sector, length, date, more }: Extent): Buffer {
  const isFile = name.length > 1;
  const identifier = tree.joliet && isFile ? utf16(name) : Buffer.from(name, "latin1");
  const use = 33 + identifier.length + ((identifier.length + 1) % 2); // of even length
  const size = use + (more?.length ?? 0);
  const bytes = Buffer.alloc(size + (size % 2));
  bytes[0] = bytes.length;
  bytes.set(both32(sector), 2);
  bytes.set(both32(length), 10);
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds(), 0];
  bytes.set([date.getUTCFullYear() - 1900, date.getUTCMonth() + 1, date.getUTCDate(), ...time], 18);
  bytes[25] = isFile ? 0 : 2;
  bytes.set(both16(1), 28);
  bytes[32] = identifier.length;
  bytes.set(identifier, 33);
  if (more) bytes.set(more, use);
  return bytes;
}

/** The System Use Sharing Protocol is in use. */
const SUSP = Buffer.from("SP\x07\x01\xbe\xef\0", "latin1");
/** The extension that is in use by it. */
const ROCK_RIDGE = Buffer.from("ER\x12\x01\x0a\0\0\x01RRIP_1991A", "latin1");

/** Mode and links of a file that is root's. */
function posix(mode: number, links: number): Buffer {
  const header = Buffer.from("PX\x24\x01", "latin1");
  return Buffer.concat([header, both32(mode), both32(links), both32(0), both32(0)]);
}

function rockName(name: string): Buffer {
  const text = Buffer.from(name);
  return Buffer.concat([
    Buffer.from(["N".charCodeAt(0), "M".charCodeAt(0), 5 + text.length, 1, 0]),
    text,
  ]);
}

const utf16 = (text: string) => Buffer.from(text, "utf16le").swap16();

function both16(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16LE(value, 0);
  bytes.writeUInt16BE(value, 2);
  return bytes;
}

function both32(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(value, 0);
  bytes.writeUInt32BE(value, 4);
  return bytes;
}
