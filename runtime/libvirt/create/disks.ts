/** The plan of a new domain's disks: everything about them is looked at, and nothing is made yet. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { assertAttachable } from "../storage/attachable.ts";
import { readStorage, type Storage } from "../storage/usage.ts";
import type { Capabilities } from "./capabilities.ts";
import type { Hardware } from "./definition.ts";
import { assertFree, readImageFile, readImageVolume } from "./existing.ts";
import { planNew } from "./new-disk.ts";
import type { PlannedDisk, Planning, Spot } from "./planned.ts";
import { type Need, readDiskPool } from "./pools.ts";
import { busOf, targetNames } from "./targets.ts";
import type { DiskWish, DomainWish } from "./wish.ts";

export interface Origin {
  /** The volumes that the wish names were made by the same operation: no image that was there before is on them. */
  madeHere?: boolean;
}

export interface DiskPlans {
  disks: PlannedDisk[];
  /** Gives a further disk, such as a CD-ROM, its name. */
  nameNext: (bus: string) => string;
  needs: Need[];
}

export async function planDisks(
  ctx: Context,
  { name, disks: wishes }: DomainWish,
  hardware: Hardware,
  has: Capabilities & Origin,
): Promise<DiskPlans> {
  const nameNext = targetNames();
  const needs: Need[] = [];
  const disks: PlannedDisk[] = [];
  const isNamed = wishes.some(({ volume, image, path }) => volume ?? image ?? path);
  const found = isNamed ? await readStorage(ctx) : NOTHING;
  const storage = has.madeHere ? { ...found, unknown: [] } : found;
  const planning = { ctx, domain: name, storage, needs };
  for (const [index, wish] of wishes.entries()) {
    const field = `disks[${index}]`;
    const bus = busOf(wish, field, hardware, has);
    const disk = await planDisk(planning, wish, { index, field, bus, target: nameNext(bus) });
    assertOnce(disks, disk);
    disks.push(disk);
  }
  return { disks, nameNext, needs };
}

/** Where all disks are new, nobody can have them. */
const NOTHING = {} as Storage;

const ALONE = { readOnly: false, shareable: false };

async function planDisk(planning: Planning, wish: DiskWish, spot: Spot): Promise<PlannedDisk> {
  const { ctx, storage } = planning;
  const { field, target, bus } = spot;
  const at = `${field}.${wish.path === undefined ? "volume" : "path"}`;
  const judge: Parameters<typeof readImageVolume>[3] = (place) =>
    assertFree(ctx, storage, place, at);
  const disk = { field, target, bus, device: "disk" as const };
  if (wish.path !== undefined) {
    const image = await readImageFile(ctx, at, wish.path, wish.format, judge);
    const file = { ...image, pool: undefined, name: wish.path, backing: null };
    await assertAttachable(ctx, planning.domain, file, ALONE, at, storage);
    return { ...disk, ...image, format: usableFormat(image.format, at, wish.format) };
  }
  const pool = await readDiskPool(ctx, `${field}.pool`, wish.pool ?? "default");
  if (wish.volume === undefined) return planNew(planning, wish, spot, pool);
  const which = { pool: pool.name, name: wish.volume };
  const volume = await readImageVolume(ctx, at, which, judge);
  await assertAttachable(ctx, planning.domain, volume, ALONE, at, storage);
  const format = usableFormat(volume.format, at, wish.format);
  const { path, name, capacity_bytes: size } = volume;
  return { ...disk, path, pool: pool.name, name, size, format };
}

/** Throws for an image that is not of the format that was asked, or of one that QEMU should not write to. */
function usableFormat(found: string, field: string, asked?: string): string {
  if (found !== "raw" && found !== "qcow2") {
    const text = `${field}: is of format ${found}; a disk made of it as an image is a qcow2`;
    throw new HyperError("unsupported", text);
  }
  if (asked === undefined || asked === found) return found;
  throw new HyperError("invalid_input", `${field}: is of format ${found}, not ${asked}`);
}

/** Throws `invalid_input` for an image that the request has twice. */
function assertOnce(disks: PlannedDisk[], { path, field }: PlannedDisk) {
  const twin = disks.find((other) => other.path === path);
  if (twin) throw new HyperError("invalid_input", `${field}: ${path} is ${twin.field} already`);
}
