/** Files that qemu-img takes for raw disks, since they have no header that it knows, and that are none. */
import { RAW_ALL_THE_SAME } from "./import-header.ts";

/** What is known of an image beside its bytes. */
export interface Claim {
  /** The name or path that it has where it comes from. */
  name?: string | undefined;
  /** What it is to be: a disk is no text, and a disk to boot from has at least a boot sector. */
  use?: "disk" | "boot disk";
}

/** A smaller raw file is hardly a disk. */
const SMALLEST_DISK_BYTES = 2 ** 20;

/** Formats by the endings of names; the data of a VMDK in several files is raw: `web-flat.vmdk`, `web-f001.vmdk`. */
const NAMED = /(?<!-flat|-f\d{3})\.(ova|vmdk|qcow2|vhdx|vdi|vhd)$/i;
const COMPRESSED = /\.(xz|gz|zst|bz2)$/i;

/** Says why a raw file, by its first sector and its size in bytes, is not what it is claimed to be. */
export function implausible(
  { head, size }: { head: Buffer; size: number },
  { name = "", use }: Claim,
): string | undefined {
  const [, ending] = NAMED.exec(name.replace(COMPRESSED, "")) ?? [];
  if (ending) {
    const lacks = /ova/i.test(ending) ? "is no tar archive" : "has not the header of one";
    return `is named .${ending}, but ${lacks}; ${RAW_ALL_THE_SAME}`;
  }
  if (use && isText(head)) {
    const kind = /^\s*<(!doctype|html|head|body)/i.test(`${head}`) ? "an HTML page" : "text";
    return `is ${kind} and no disk image; ${RAW_ALL_THE_SAME}`;
  }
  if (use !== "boot disk" || size >= SMALLEST_DISK_BYTES || hasBootSector(head)) return undefined;
  return `has only ${size} bytes and no boot sector, so it is no disk to boot from; ${RAW_ALL_THE_SAME}`;
}

/** Control characters are in every header and partition table. */
function isText(head: Buffer): boolean {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(head, { stream: true }); // its end may be cut
    return !/(?!\s)\p{Cc}/u.test(text);
  } catch {
    return false;
  }
}

const hasBootSector = (head: Buffer) => head.length === 512 && head.readUInt16BE(510) === 0x55aa;

/** The end of a message about a volume: a hint where it was made of a raw file that is hardly a disk. */
export const smallDiskHint = (source_format: string, capacity_bytes: number): string =>
  source_format === "raw" && capacity_bytes < SMALLEST_DISK_BYTES
    ? `; it has only ${capacity_bytes} bytes, so make sure that the source is a disk image`
    : "";
