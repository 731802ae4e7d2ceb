/** Storage volumes: how they are read, and the definition of a new one. */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { unlessGone } from "../../hypervisor/outcomes.ts";
import { Name, PRINTABLE } from "../names.ts";
import { attribute, children, parseXml, textOf, xml } from "../xml.ts";
import { readVolumeNames } from "./volume-names.ts";

/** In a directory pool a volume's name is the name of its file. */
const FileName = Name.refine((name) => name !== "." && name !== "..", 'must not be "." or ".."');

/** The name of a new volume. */
export const VolumeName = FileName.regex(...PRINTABLE).describe("name of the new volume");

/** The same for a name whose field takes names of existing volumes too. */
export function checkNewName(name: string, field: string) {
  const problem = VolumeName.safeParse(name).error?.issues[0];
  if (problem) throw new HyperError("invalid_input", `${field}: ${problem.message}`);
}

/** The name of an existing volume. */
export const KnownVolume = FileName.meta({
  "x-libvirt": "volume",
  description: "name of a volume in the pool",
});

/** Formats that libvirt can create in a directory pool; a logical or disk pool has raw volumes only. */
export const Format = z
  .enum(["qcow2", "raw", "vmdk", "vdi", "vpc", "qed", "qcow"])
  .describe("of the volume");

export type Format = z.output<typeof Format>;

/** Upper bound for copying or wiping an image, against hung processes. */
export const IMAGE_TIMEOUT_MS = 24 * 3600 * 1000;

export const Volume = z
  .object({
    pool: z.string(),
    name: z.string().meta({ "x-libvirt": "volume" }),
    path: z.string(),
    type: z.string().describe("file, block, dir, network …"),
    format: z.string().nullable(),
    capacity_bytes: z.number().describe("size that a guest sees"),
    allocation_bytes: z.number().describe("space that it takes in the pool"),
    encrypted: z.boolean(),
    backing: z.object({ path: z.string(), format: z.string().nullable() }).nullable(),
  })
  .meta({ id: "Volume" });

export type Volume = z.output<typeof Volume>;

/** Parses the output of `vol-dumpxml`. */
export function parseVolume(pool: string, text: string): Volume {
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
    encrypted: children(volume, "target", "encryption").length > 0,
    backing: backing
      ? { path: backing, format: attribute(volume, "type", "backingStore", "format") ?? null }
      : null,
  };
}

/** Reads one volume; throws `not_found`. */
export async function readVolume({ virsh }: Pick<Context, "virsh">, pool: string, name: string) {
  return parseVolume(pool, await virsh(["vol-dumpxml", "--pool", pool, "--vol", name]));
}

/** Throws `invalid_input` for a volume that is no image, such as a folder in a directory pool. */
export function assertImage({ name, pool, type }: Volume, field: string) {
  if (!/^(dir|netdir|ploop)$/.test(type)) return;
  const text = `${field}: ${JSON.stringify(name)} of pool ${pool} is a folder (type ${type}), not a disk image`;
  throw new HyperError("invalid_input", text);
}

/**
 * Reads all volumes of a pool in two round trips. A volume that goes away in between is left out; one whose name
 * cannot be known is listed as `unreadable`.
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
  const definitions = texts.map(unlessGone).filter((text) => text !== undefined);
  return { volumes: definitions.map((text) => parseVolume(pool, text)), unreadable };
}

export interface NewVolume {
  name: string;
  /** In bytes, as a guest sees it. */
  capacity: number;
  /** In bytes, taken at once. @default 0 */
  allocation?: number;
  /** Null and raw are the pool's own kind: raw files, or devices, for which libvirt has no format. */
  format: string | null;
  /** The backing file of an overlay. */
  backing?: { path: string; format: string | null };
}

/**
 * Writes the definition of a new volume, for `vol-create` and `vol-create-from`. `vol-create-as` does not escape
 * the name, and makes a qcow2 of version 2 (libvirt 9.0).
 */
export function volumeXml({ name, capacity, allocation = 0, format, backing }: NewVolume): {
  text: string;
} {
  const backingStore =
    backing &&
    xml`<backingStore><path>${backing.path}</path><format type="${backing.format ?? "raw"}"/></backingStore>`;
  const formatElement =
    format &&
    format !== "raw" &&
    xml`<format type="${format}"/>${format === "qcow2" && xml`<compat>1.1</compat>`}`;
  const text = xml`<volume>
  <name>${name}</name>
  <capacity unit="bytes">${capacity}</capacity>
  <allocation unit="bytes">${allocation}</allocation>
  <target>${formatElement}</target>
  ${backingStore}
</volume>`;
  return { text: `${text}` };
}
