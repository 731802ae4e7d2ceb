/** The CD-ROM of a new domain: an ISO of a pool, or a file in an allowed folder. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import { allowedPath } from "../storage/import-image.ts";
import { assertImage, readVolume } from "../storage/volume.ts";
import type { DefinedDisk } from "./definition.ts";
import { inField } from "./field.ts";
import { readDiskPool } from "./pools.ts";
import type { DomainWish } from "./wish.ts";

/** The fields of domain/create that name it. */
const OF_CREATE = { path: "cdrom", pool: "cdrom.pool", volume: "cdrom.volume" };

export const cdromDisk = (path: string, bus: string, target: string): DefinedDisk => ({
  device: "cdrom",
  format: "raw",
  ...{ path, bus, target },
});

/** The path of the ISO. Throws for one that is not there, or is no file. */
export async function findIso(
  ctx: Context,
  wish: NonNullable<DomainWish["cdrom"]>,
  fields = OF_CREATE,
): Promise<string> {
  if (typeof wish === "string") {
    const path = await allowedPath(ctx, wish, fields.path);
    const found = await ctx.exec(["test", "-f", path]);
    if (found.exitCode > 1) throw programError("test", found);
    if (found.exitCode === 0) return path;
    throw new HyperError("not_found", `${fields.path}: ${JSON.stringify(wish)} is no file`);
  }
  const pool = await readDiskPool(ctx, fields.pool, wish.pool);
  const volume = await inField(fields.volume, () => readVolume(ctx, pool.name, wish.volume));
  assertImage(volume, fields.volume);
  const { format, path } = volume;
  if (/^(raw|iso)$/.test(format ?? "raw")) return path;
  const text = `${fields.volume}: ${wish.volume} is of format ${format}, which is no ISO`;
  throw new HyperError("invalid_input", text);
}
