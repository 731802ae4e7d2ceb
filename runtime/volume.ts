/** What libvirt says of a volume. */
import * as z from "zod";
import type { Context } from "./context.ts";
import { unlessGone } from "./hypervisor.ts";
import { Name } from "./schemas.ts";
import { lines, unescapeTable } from "./text.ts";
import { attribute, parseXml, textOf, xml } from "./xml.ts";

/** A volume's name becomes a file's. */
export const VolumeName = Name.refine(
  (name) => name !== "." && name !== "..",
  'must not be "." or ".."',
);

/** Formats that libvirt can create in a directory pool; a logical or disk pool has raw volumes only. */
export const Format = z.enum(["qcow2", "raw", "vmdk", "vdi", "vpc", "qed", "qcow"]);

/** Milliseconds for what copies or overwrites whole images: a bound for the lost, not for the slow. */
export const IMAGE_TIMEOUT = 24 * 3600 * 1000;

export const Volume = z.object({
  pool: z.string(),
  name: z.string(),
  path: z.string(),
  type: z.string().describe("file, block, dir, network …"),
  format: z.string().nullable(),
  capacity_bytes: z.number().describe("what a guest sees"),
  allocation_bytes: z.number().describe("what it takes of the pool"),
  backing: z.object({ path: z.string(), format: z.string().nullable() }).nullable(),
});

/** From the text of `vol-dumpxml`. */
export function parseVolume(pool: string, text: string): z.output<typeof Volume> {
  const volume = parseXml(text, "volume");
  const backing = textOf(volume, "backingStore", "path");
  return {
    pool,
    name: textOf(volume, "name") ?? "",
    path: textOf(volume, "target", "path") ?? "",
    type: `${volume["@type"] ?? "file"}`,
    format: attribute(volume, "type", "target", "format") ?? null,
    capacity_bytes: Number(textOf(volume, "capacity")),
    allocation_bytes: Number(textOf(volume, "allocation")),
    backing: backing
      ? { path: backing, format: attribute(volume, "type", "backingStore", "format") ?? null }
      : null,
  };
}

/** Throws `not_found`. */
export async function readVolume({ virsh }: Pick<Context, "virsh">, pool: string, name: string) {
  return parseVolume(pool, await virsh(["vol-dumpxml", "--pool", pool, "--vol", name]));
}

/**
 * The names in `vol-list`, whose rows are ` NAME   PATH`. Both columns may hold spaces; a path that ends in
 * the row's name settles where it begins.
 */
export function volumeNames(table: string): string[] {
  return lines(table).map((row) => {
    const text = unescapeTable(row.slice(1));
    for (let at = text.indexOf("   "); at >= 0; at = text.indexOf("   ", at + 1)) {
      const path = text.slice(at).trimStart();
      const name = path.slice(path.lastIndexOf("/") + 1);
      if (text.startsWith(name) && text.slice(name.length, text.length - path.length).trim() === "")
        return name;
    }
    return text.split(/ {3,}/)[0] ?? "";
  });
}

/** All volumes of a pool: two round trips. One that goes away in between is left out. */
export async function readVolumes({ virsh }: Pick<Context, "virsh">, pool: string) {
  const names = volumeNames(await virsh(["vol-list", "--pool", pool]));
  const texts = await virsh.each(
    names.map((name) => ["vol-dumpxml", "--pool", pool, "--vol", name]),
  );
  const found = texts.map(unlessGone).filter((text) => text !== undefined);
  return found.map((text) => parseVolume(pool, text));
}

export interface NewVolume {
  name: string;
  /** Bytes that a guest sees. */
  capacity: number;
  /** Bytes that are taken at once; none unless given. */
  allocation?: number;
  /** Null for a pool that has raw devices only. */
  format: string | null;
  /** The image to stand on. */
  backing?: { path: string; format: string | null };
}

/**
 * The definition of a new volume, for `vol-create` and `vol-create-from`. `vol-create-as` would not escape
 * the name, and makes a qcow2 of the kind of 2010 (libvirt 9.0).
 */
export function volumeXml({ name, capacity, allocation = 0, format, backing }: NewVolume): {
  text: string;
} {
  const below =
    backing &&
    xml`<backingStore><path>${backing.path}</path><format type="${backing.format ?? "raw"}"/></backingStore>`;
  const kind =
    format && xml`<format type="${format}"/>${format === "qcow2" && xml`<compat>1.1</compat>`}`;
  const text = xml`<volume>
  <name>${name}</name>
  <capacity unit="bytes">${capacity}</capacity>
  <allocation unit="bytes">${allocation}</allocation>
  <target>${kind}</target>
  ${below}
</volume>`;
  return { text: `${text}` };
}
