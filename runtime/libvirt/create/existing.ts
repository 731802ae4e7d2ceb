/** Images that are there already: whether a new domain may have them, or a copy of them. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { nameFor, shownTo } from "../shown-domains.ts";
import { mayRead, needsRoot } from "../storage/image-access.ts";
import { allowedPath, inspectFile, SourceFormat } from "../storage/import-image.ts";
import { assertCopyable } from "../storage/isolation-chain.ts";
import { mayBeInUse } from "../storage/look.ts";
import type { Storage } from "../storage/usage.ts";
import { readUses } from "../storage/uses.ts";
import { assertImage, readVolume, type Volume } from "../storage/volume.ts";
import { inField } from "./field.ts";

/** Throws for what a domain cannot have, such as an image that others use. */
type Judge = (place: Place) => void;

export interface ImageVolume extends Volume {
  /** As QEMU calls it. */
  format: string;
}

/** What libvirt calls raw images: those that begin with a file system of a CD-ROM, devices, partitions. */
const RAW = /^(raw|iso|none|unknown|linux.*)$/;

/** Reads a volume that a field names. Throws for one that is no whole image of its own. */
export async function readImageVolume(
  ctx: Context,
  field: string,
  { pool, name }: { pool: string; name: string },
  judge: Judge,
): Promise<ImageVolume> {
  const read = await inField(field, () => readVolume(ctx, pool, name));
  assertImage(read, field);
  const format = read.format === null || RAW.test(read.format) ? "raw" : read.format;
  const volume = { ...read, format };
  if (volume.encrypted)
    throw new HyperError("unsupported", `${field}: volume ${name} is encrypted`);
  judge(volume); // first: QEMU locks an image in use, so that it could not be looked at
  await inField(field, () => assertSound(ctx, volume));
  return volume;
}

/**
 * Whoever wrote an image may have named any file of the hypervisor in its header, or have cut it off. The login user
 * may be unable to look; then what libvirt knows of it counts.
 */
async function assertSound(ctx: Context, volume: ImageVolume) {
  const { path, type, backing, format } = volume;
  if (backing) return assertCopyable(ctx, volume);
  if (type !== "file" || !(await mayRead(ctx, path, format))) return;
  const known = SourceFormat.safeParse(format);
  await inspectFile(ctx, path, JSON.stringify(path), format === "raw" ? undefined : known.data);
}

/** Finds the file of a path in an allowed folder. Throws for one that is no whole image of its own. */
export async function readImageFile(
  ctx: Context,
  field: string,
  given: string,
  format: SourceFormat | undefined,
  judge: Judge,
): Promise<{ path: string; format: string; size: number }> {
  const path = await allowedPath(ctx, given, field);
  judge({ pool: undefined, name: "", path });
  if (!(await mayRead(ctx, path, "raw"))) throw needsRoot(ctx, `${field}: this reads ${path}`);
  const image = await inField(field, () => inspectFile(ctx, path, JSON.stringify(given), format));
  return { path, format: image.format, size: image.virtualSize };
}

interface Used {
  field: string;
  path: string;
  make?: unknown;
}

type Place = Parameters<Storage["disksUsing"]>[0];

/** Throws `in_use` unless a new domain can have this image for itself. */
export function assertFree(ctx: Context, storage: Storage, place: Place, field: string) {
  const name = `${field}: ${place.path}`;
  const [use] = storage.disksUsing(place);
  if (use) {
    const details = { domains: shownTo(ctx, [use.domain]) };
    throw new HyperError("in_use", `${name} is used by ${nameFor(ctx, use.domain)}`, { details });
  }
  const children = [...storage.overlaysOf(place), ...storage.dataUsersOf(place)];
  if (children.length > 0) {
    const text = `${name} is below ${children.join(", ")}, which would break if the domain wrote to it; linked: true makes another overlay on it as an image`;
    throw new HyperError("in_use", text, { details: { children } });
  }
  if (storage.unknown.length > 0) throw mayBeInUse(ctx, name, storage.unknown);
}

/** Throws `in_use` if another domain, made at the same time, has an image that this domain has for itself. */
export async function assertOwnImages(ctx: Context, domain: string, disks: Used[]) {
  const existing = disks.filter(({ make }) => make === undefined);
  if (existing.length === 0) return;
  const others = (await readUses(ctx)).filter((use) => use.domain !== domain && !use.shared);
  for (const { field, path } of existing) {
    const use = others.find((other) => other.path === path);
    if (!use) continue;
    const details = { domains: shownTo(ctx, [use.domain]) };
    const text = `${field}: ${path} is used by ${nameFor(ctx, use.domain)}`;
    throw new HyperError("in_use", text, { details });
  }
}

/** Throws `in_use` for an image that changes while it is copied, or below its overlay. */
export function assertAtRest(
  ctx: Context,
  storage: Storage,
  place: Place,
  field: string,
  linked: boolean,
) {
  const writers = storage.disksUsing(place).filter(({ shared, below }) => !shared && !below);
  const writer = writers.find(({ running }) => running || linked);
  if (!writer) return;
  const { domain, running } = writer;
  const harm = linked ? "an overlay on it would break" : "a copy may be torn";
  const text = `${field}: ${place.path} is used by ${nameFor(ctx, domain, running ? "the running domain" : "domain")}, so ${harm}`;
  throw new HyperError("in_use", text, { details: { domains: shownTo(ctx, [domain]) } });
}
