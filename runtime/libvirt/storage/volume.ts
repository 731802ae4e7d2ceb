/** What libvirt says of a volume. */
import * as z from "zod";
import type { Context } from "../../hypervisor/context.ts";
import { unlessGone } from "../../hypervisor/hypervisor.ts";
import { Name, PRINTABLE } from "../names.ts";
import { attribute, parseXml, textOf, xml } from "../xml.ts";
import { readVolumeNames } from "./volume-names.ts";

/** A volume's name is a file's. */
const FileName = Name.refine((name) => name !== "." && name !== "..", 'must not be "." or ".."');

/** The name of a new volume. */
export const VolumeName = FileName.regex(...PRINTABLE).describe("name of the new volume");

/** The name of one that is there. */
export const KnownVolume = FileName.meta({
  "x-libvirt": "volume",
  description: "name of a volume in the pool",
});

/** Formats that libvirt can create in a directory pool; a logical or disk pool has raw volumes only. */
export const Format = z
  .enum(["qcow2", "raw", "vmdk", "vdi", "vpc", "qed", "qcow"])
  .describe("of the volume");

/** Milliseconds for what copies or overwrites whole images: a bound for the lost, not for the slow. */
export const IMAGE_TIMEOUT = 24 * 3600 * 1000;

export const Volume = z
  .object({
    pool: z.string(),
    name: z.string().meta({ "x-libvirt": "volume" }),
    path: z.string(),
    type: z.string().describe("file, block, dir, network …"),
    format: z.string().nullable(),
    capacity_bytes: z.number().describe("what a guest sees"),
    allocation_bytes: z.number().describe("what it takes of the pool"),
    backing: z.object({ path: z.string(), format: z.string().nullable() }).nullable(),
  })
  .meta({ id: "Volume" });

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
 * All volumes of a pool: two round trips. One that goes away in between is left out; one whose name nobody can
 * tell is `unreadable`.
 */
export async function readVolumes(
  ctx: Pick<Context, "virsh" | "exec" | "host" | "log">,
  pool: string,
) {
  const { names, unreadable } = await readVolumeNames(ctx, pool);
  const { host, log, virsh } = ctx;
  if (unreadable.length > 0) log.warn({ host, pool, unreadable }, "volumes with unknown names");
  const texts = await virsh.settled(
    names.map((name) => ["vol-dumpxml", "--pool", pool, "--vol", name]),
  );
  const found = texts.map(unlessGone).filter((text) => text !== undefined);
  return { volumes: found.map((text) => parseVolume(pool, text)), unreadable };
}

export interface NewVolume {
  name: string;
  /** Bytes that a guest sees. */
  capacity: number;
  /** Bytes that are taken at once; none unless given. */
  allocation?: number;
  /** Null and raw are what the pool has by itself: raw files, or devices, of which libvirt knows no format. */
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
    format &&
    format !== "raw" &&
    xml`<format type="${format}"/>${format === "qcow2" && xml`<compat>1.1</compat>`}`;
  const text = xml`<volume>
  <name>${name}</name>
  <capacity unit="bytes">${capacity}</capacity>
  <allocation unit="bytes">${allocation}</allocation>
  <target>${kind}</target>
  ${below}
</volume>`;
  return { text: `${text}` };
}
