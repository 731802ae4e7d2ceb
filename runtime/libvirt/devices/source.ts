/** What a new disk is on: a volume that is made for it, one that exists, or a file in an allowed folder. */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { assertOwnSeeds } from "../cloud-init/own-seed.ts";
import { readImageFile, readImageVolume } from "../create/existing.ts";
import type { Journal } from "../journal.ts";
import { PoolName } from "../names.ts";
import { Capacity } from "../size.ts";
import {
  assertAttachable,
  assertNotUsed,
  type Image,
  placeOf,
  type Sharing,
} from "../storage/attachable.ts";
import { Path, SourceFormat } from "../storage/import-image.ts";
import { readStorage } from "../storage/usage.ts";
import {
  assertImage,
  Format,
  KnownVolume,
  readVolume,
  VolumeName,
  volumeXml,
} from "../storage/volume.ts";
import { parseXml } from "../xml.ts";

/** The fields that name a disk's source; exactly one of `size`, `volume` and `path`. */
export const SOURCE = {
  size: Capacity.optional().describe(
    'of a new, sparse volume: GiB, or a string with a unit such as "512MiB"',
  ),
  volume: KnownVolume.optional(),
  path: Path.optional().describe("an image file on the hypervisor, in an allowed folder"),
  pool: PoolName.default("default").describe("of the volume"),
  format: Format.optional().describe(
    "of a new volume: qcow2 in a folder, else raw; of an existing image: the one that it has",
  ),
};

const Source = z.object(SOURCE);
export type Source = z.output<typeof Source>;

export interface DiskSource extends Image {
  /** "block" for a device. */
  type: "file" | "block";
  capacity: number;
}

/** The image of an existing volume or file, once it is checked that the domain may have it. */
export async function findSource(
  ctx: Context,
  domain: string,
  { volume, path, pool, format }: Source,
  sharing: Sharing,
): Promise<DiskSource> {
  const field = volume ? "volume" : "path";
  const storage = await readStorage(ctx);
  // QEMU locks an image in use, so that it could not be looked at
  const judge = (place: { path: string }) =>
    assertNotUsed(
      ctx,
      storage,
      domain,
      { pool: undefined, name: place.path, ...place },
      sharing,
      field,
    );
  const source = volume
    ? await ofVolume(ctx, pool, volume, format)
    : await ofFile(ctx, `${path}`, format, judge);
  await assertOwnSeeds(ctx, storage, [source]);
  const below = await assertAttachable(ctx, domain, source, sharing, field, storage);
  await assertOwnSeeds(ctx, storage, below.map(placeOf));
  // one that is shared may change while it is looked at, and is raw
  if (volume && format !== "raw" && !sharing.shareable)
    await readImageVolume(ctx, field, { pool, name: volume }, () => {});
  return source;
}

async function ofVolume(ctx: Context, pool: string, name: string, format: Source["format"]) {
  const volume = await readVolume(ctx, pool, name);
  assertImage(volume, "volume");
  const { type, path, backing, capacity_bytes: capacity } = volume;
  if (type !== "file" && type !== "block") {
    const text = `volume: ${name} of pool ${pool} is a ${type} volume; only files and devices can be attached`;
    throw new HyperError("unsupported", text);
  }
  const known: string[] = Format.options;
  const detected = known.includes(`${volume.format}`) ? `${volume.format}` : "raw";
  if (format && format !== detected && format !== "raw") {
    const text = `format: volume ${name} of pool ${pool} is ${detected}, not ${format}`;
    throw new HyperError("invalid_input", text);
  }
  if (volume.encrypted && format !== "raw") {
    const text = `volume: ${name} of pool ${pool} is encrypted, which cannot be attached`;
    throw new HyperError("unsupported", text);
  }
  return { type, path, pool, name, capacity, format: format ?? detected, backing } as const;
}

async function ofFile(
  ctx: Context,
  file: string,
  format: Source["format"],
  judge: (place: { path: string }) => void,
) {
  const expected = SourceFormat.safeParse(format).data;
  const { path, format: found, size } = await readImageFile(ctx, "path", file, expected, judge);
  const name = path.slice(path.lastIndexOf("/") + 1);
  const rest = { pool: undefined, name, capacity: size, backing: null };
  return { type: "file", path, format: found, ...rest } as const;
}

/** Makes a volume that is named after the domain and the disk's target. */
export async function makeSource(
  ctx: Context,
  journal: Journal,
  { size: capacity = 0, pool, format }: Source,
  names: { domain: string; uuid: string; target: string },
): Promise<DiskSource> {
  const kind = parseXml(await ctx.virsh(["pool-dumpxml", "--pool", pool]), "pool")["@type"];
  const chosen = format ?? (/^(dir|fs|netfs|gluster)$/.test(`${kind}`) ? "qcow2" : "raw");
  for (let attempt = 1; ; attempt++) {
    const name = volumeName(names, chosen, attempt);
    const file = ["--file", volumeXml({ name, capacity, format: chosen })];
    try {
      await journal.track({ kind: "volume", pool, name }, () =>
        ctx.virsh(["vol-create", "--pool", pool, ...file]),
      );
    } catch (error) {
      const isTaken = error instanceof HyperError && error.code === "already_exists";
      if (isTaken && attempt < MAX_NAMES) continue;
      throw error;
    }
    const { path, type, capacity_bytes } = await readVolume(ctx, pool, name);
    const made = { path, pool, name, capacity: capacity_bytes, format: chosen, backing: null };
    return { ...made, type: type === "block" ? "block" : "file" };
  }
}

const MAX_NAMES = 100;

function volumeName(
  { domain, uuid, target }: { domain: string; uuid: string; target: string },
  format: string,
  attempt: number,
): string {
  const rest = `-${target}${attempt > 1 ? `-${attempt}` : ""}.${format}`;
  return VolumeName.safeParse(domain + rest).success ? domain + rest : uuid + rest;
}
