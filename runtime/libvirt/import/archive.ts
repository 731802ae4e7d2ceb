/** The members of a tar archive on the hypervisor, by its headers; nothing is unpacked. */
import type { Context } from "../../hypervisor/context.ts";
import { refusedImage } from "../storage/import-file.ts";
import { type ForeignFile, inFile, readPiece } from "./foreign-file.ts";
import {
  assertMember,
  BLOCK,
  type Header,
  type Member,
  nextHeader,
  parseHeader,
  parsePax,
} from "./tar.ts";

/** An OVA has a description, a manifest, a certificate, and a file for each disk. */
const MAX_MEMBERS = 200;
/** Each file may have one of pax before it, and the archive ends with one. */
const MAX_HEADERS = 2 * MAX_MEMBERS + 1;
const MAX_PAX_BYTES = 64 * 1024;

export const isTar = ({ head }: Pick<ForeignFile, "head">) =>
  head.toString("latin1", 257, 262) === "ustar";

export async function readMembers(ctx: Context, archive: ForeignFile): Promise<Member[]> {
  const { size, label } = archive;
  const members: Member[] = [];
  let pax: { path?: string; size?: number } = {};
  let headers = 0;
  for (let at = 0; ; ) {
    headers++;
    if (headers > MAX_HEADERS) throw refusedImage(label, `has more than ${MAX_MEMBERS} files`);
    const block = await readPiece(ctx, archive, at, BLOCK);
    const header = inFile(label, () => parseHeader(block));
    if (!header) return members;
    const data = at + BLOCK;
    if (header.type === "x" || header.type === "g") {
      if (header.size > MAX_PAX_BYTES)
        throw refusedImage(label, "has a pax header that is too long");
      const records = await readPiece(ctx, archive, data, header.size);
      const found = inFile(label, () => parsePax(records));
      if (header.type === "x") pax = found;
      else if (found.path ?? found.size)
        throw refusedImage(label, "has a pax header for all files at once");
      at = nextHeader(data, header.size);
      continue;
    }
    const full: Header = {
      ...header,
      name: pax.path ?? header.name,
      size: pax.size ?? header.size,
    };
    members.push(inFile(label, () => assertMember(full, data, size, members)));
    pax = {};
    at = nextHeader(data, full.size);
  }
}
