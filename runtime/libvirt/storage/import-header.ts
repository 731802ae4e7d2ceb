/** Checks of an image's first and last bytes, before a program opens it and where qemu-img does not look. */

/** As QEMU detects it (vmdk_probe): comments and blank lines, then the version. */
const VMDK_DESCRIPTOR = /^(?:(?:#[^\n]*| *\r?)\n)*version=[123]\r?\n|^# Disk DescriptorFile/;

/** The file's first and last sector, and its size in bytes. */
export interface Ends {
  head: Buffer;
  tail: Buffer;
  size: number;
}

/** Finds references that qemu-img reports only after it has opened the other file, and cuts that it overlooks. */
export function headerProblem({ head, tail, size }: Ends): string | undefined {
  if (VMDK_DESCRIPTOR.test(head.toString("latin1"))) {
    return "is a VMDK descriptor, whose data is in other files; give a single-file image";
  }
  if (isVmdkOfOthers(head))
    return "is a VMDK whose descriptor names other files; give a single-file image";
  if (head.length >= 104 && head.readUInt32BE(0) === 0x514649fb) {
    if (head.readBigUInt64BE(8) !== 0n)
      return "has a backing file; flatten it first (qemu-img convert)";
    // incompatible feature bit 2, from version 3 on: https://www.qemu.org/docs/master/interop/qcow2.html
    if (head.readUInt32BE(4) >= 3 && head.readUInt8(79) & 4)
      return "keeps its data in another file";
  }
  // VDI: offset of the data, size and number of the blocks (QEMU's block/vdi.c)
  if (head.length >= 0x188 && head.readUInt32LE(0x40) === 0xbeda107f) {
    const blocks = head.readUInt32LE(0x184) * head.readUInt32LE(0x178);
    if (head.readUInt32LE(0x158) + blocks > size) return "is truncated";
  }
  return isVhdFooter(head) ? vhdProblem(head, tail) : undefined;
}

/** A sparse VMDK of no capacity: QEMU then opens the extents of the descriptor within (vmdk_open_vmdk4). */
const isVmdkOfOthers = (head: Buffer) =>
  head.length >= 36 && head.toString("latin1", 0, 4) === "KDMV" && head.readBigUInt64LE(12) === 0n;

const isVhdFooter = (sector: Buffer) =>
  sector.length === 512 && sector.toString("latin1", 0, 8) === "conectix";

const VHD_DIFFERENCING = 4;

/** A dynamic VHD begins with a copy of its footer. QEMU reads a differencing one as if it had no parent. */
function vhdProblem(head: Buffer, tail: Buffer): string | undefined {
  if (head.readUInt32BE(60) === VHD_DIFFERENCING)
    return "is a differencing VHD, whose other data is in its parent; merge it into the parent first";
  return isVhdFooter(tail) ? undefined : "is truncated";
}

/** A fixed VHD is a raw disk with a footer behind it, which QEMU does not detect by itself. */
export function isFixedVhd({ tail, size }: Ends): boolean {
  return isVhdFooter(tail) && Number(tail.readBigUInt64BE(48)) <= size - 512;
}

/** Files that qemu-img takes for raw disks: their first bytes in hexadecimal, a name, and advice. */
const ARCHIVES: [magic: string, name: string, advice: string][] = [
  ["fd377a585a00", "an xz archive", "unpack it first (xz -d)"],
  ["1f8b08", "a gzip archive", "unpack it first (gzip -d)"],
  ["28b52ffd", "a zstd archive", "unpack it first (zstd -d)"],
  ["425a68", "a bzip2 archive", "unpack it first (bzip2 -d)"],
  ["04224d18", "an lz4 archive", "unpack it first (lz4 -d)"],
  ["4c5a4950", "an lzip archive", "unpack it first (lzip -d)"],
  ["504b0304", "a zip archive", "unpack it first (unzip) and give the disk's file"],
  ["377abcaf271c", "a 7-Zip archive", "unpack it first (7z x) and give the disk's file"],
  ["526172211a07", "a RAR archive", "unpack it first and give the disk's file"],
  ["4d5357494d000000", "a WIM archive", "apply it to a disk first"],
  ["3aff26ed", "an Android sparse image", "unpack it first (simg2img)"],
  ["3c3f786d6c", "an XML file, such as an OVF descriptor", "give the disk's file"],
  ["efbbbf3c3f786d6c", "an XML file, such as an OVF descriptor", "give the disk's file"],
];

/** The advice of each refusal that `source_format: "raw"` overrules. */
export const RAW_ALL_THE_SAME = 'or import it as it is with source_format: "raw"';

/** Names a file that is no disk image, with advice; undefined for every other file. */
export function archiveProblem(head: Buffer): string | undefined {
  const hex = head.toString("hex");
  const archive = ARCHIVES.find(([magic]) => hex.startsWith(magic));
  if (archive) return `is ${archive[1]}; ${archive[2]}, ${RAW_ALL_THE_SAME}`;
  return head.toString("latin1", 257, 262) === "ustar"
    ? `is a tar archive, such as an OVA; unpack it first (tar -xf) and give the disk's file, ${RAW_ALL_THE_SAME}`
    : undefined;
}
