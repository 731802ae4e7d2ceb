/** Disks that other images stand on: whoever writes to one breaks them, so its domain must neither start nor go. */

import { HyperError } from "../../core/errors.ts";
import { memoize } from "../../core/memoize.ts";
import type { Context } from "../../hypervisor/context.ts";
import { parseXml } from "../xml.ts";
import { disksOf, readImages, realPaths, type Storage } from "./usage.ts";

/** Milliseconds: an image that was made so shortly before may not count as standing on a disk. */
const FRESH = 2000;

/** Which images stand on which, and the paths of all volumes. */
export async function readBases(ctx: Context) {
  const images = await readImages(ctx, false);
  const below = images.flatMap(({ backing }) => backing?.path ?? []);
  return basesIn({ images, real: await realPaths(ctx, below) });
}

/** The same of what was read already. */
export function basesIn({ images, real }: Pick<Storage, "images" | "real">) {
  const standing = images.flatMap(({ path, backing }) =>
    backing ? [{ path, on: real.get(backing.path) ?? backing.path }] : [],
  );
  return { volumes: images, images: standing };
}

type Bases = ReturnType<typeof basesIn>;

/** What a batch reads once for many domains. */
export const cachedBackingFiles = (ctx: Context) => memoize(() => readBases(ctx), FRESH);

/** Throws `in_use` when an image stands on a disk that the domain could write to; `harm` says what would come of it. */
export async function assertNotBackingFile(
  ctx: Context,
  ref: string,
  name: string,
  bases: () => Promise<Bases> = () => readBases(ctx),
  harm = "which would break if it wrote to its disks",
) {
  const { volumes, images } = await bases();
  if (images.length === 0) return;
  const definition = parseXml(await ctx.virsh(["dumpxml", "--domain", ref]), "domain");
  const disks = disksOf(definition, false).filter(({ below, shared }) => !below && !shared);
  const paths = disks.flatMap(({ path, pool, volume }) => {
    const found = volumes.find((one) => one.pool === pool && one.name === volume);
    return path || (found?.path ?? []);
  });
  const own = new Set((await realPaths(ctx, paths)).values());
  const children = images.filter(({ on }) => own.has(on)).map(({ path }) => path);
  if (children.length === 0) return;
  const text = `domain ${name} is the base of ${children.join(", ")}, ${harm}`;
  throw new HyperError("in_use", text, { details: { children } });
}

/** The same for one that is to be deleted: its disks would be nobody's, and could be removed under their children. */
export const assertDeletable = (
  ctx: Context,
  ref: string,
  name: string,
  bases?: () => Promise<Bases>,
) => assertNotBackingFile(ctx, ref, name, bases, "which must go first");
