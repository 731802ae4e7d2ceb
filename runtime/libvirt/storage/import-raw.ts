/**
 * Raw volumes that are not seen as such. A pool detects formats from the first bytes, which are the guest's own in a raw
 * file: with an image's header there, libvirt would give a domain the files that the header names.
 */
import type { Context } from "../../hypervisor/context.ts";
import { runProgram } from "../program.ts";
import { refusedImage } from "./import-file.ts";

/**
 * What libvirt detects (fileTypeInfo in its storage_file_probe.c), in hexadecimal. An ISO and a LUKS container are
 * raw disks to it all the same.
 */
const HEADERS: [format: string, at: number, magic: string][] = [
  ["qcow2", 0, "514649fb"],
  ["qed", 0, "51454400"],
  ["vmdk", 0, "4b444d56"],
  ["vdi", 64, "7f10dabe"],
  ["vpc", 0, "636f6e6563746978"],
  ["cow", 0, "4f4f4f4d"],
  ["bochs", 0, "426f636873205669727475616c20484420496d616765"],
  ["cloop", 0, "23212f62696e2f73680a2356322e3020466f726d6174"],
  ["ploop", 0, "576974686f7574467265655370616365"],
  ["ploop", 0, "576974686f7546726553706163457874"],
];

/** The format that libvirt takes a raw file for by its first bytes; undefined for a raw disk. */
export const seenFormat = (hex: string) =>
  HEADERS.find(([, at, magic]) => hex.startsWith(magic, at * 2))?.[0];

const HEAD = `head -c 512 "$1" | od -An -v -tx1 | tr -d ' \\n'`;

/** Throws `invalid_input` for a raw volume that libvirt would take for another image. */
export async function assertSeenAsRaw(ctx: Context, path: string, label: string) {
  const head = await runProgram(ctx, ["sh", "-c", HEAD, "sh", path], {}, "reading the volume");
  refuseSeen(head.stdout, label);
}

/** The same by its first bytes. */
export function refuseSeen(hex: string, label: string) {
  const seen = seenFormat(hex);
  if (!seen) return;
  const text = `holds a disk that begins like a ${seen} image, as which libvirt would take a raw volume of it`;
  throw refusedImage(label, `${text}; import it in another format, such as qcow2`);
}
