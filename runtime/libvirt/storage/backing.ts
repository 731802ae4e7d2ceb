/** Backing files. Writing to one corrupts its overlays, so its domain must not be started or deleted. */
import { HyperError } from "../../core/errors.ts";
import { memoize } from "../../core/memoize.ts";
import type { Context } from "../../hypervisor/context.ts";
import { readDefinition } from "../definitions.ts";
import { parseXml } from "../xml.ts";
import { readImages } from "./images.ts";
import { realPaths } from "./real-paths.ts";
import type { Storage } from "./usage.ts";
import { disksOf } from "./uses.ts";

/** An overlay that was made within this time may be missed. */
const CACHE_MS = 2000;

/** Reads which images have which backing files, and all volumes. */
export async function readBases(ctx: Context) {
  const { images, real: known } = await readImages(ctx, false);
  const backingFiles = images.flatMap(({ backing }) => backing?.path ?? []);
  const real = await realPaths(ctx, backingFiles, {}, known);
  return basesIn({ images, real: new Map([...known, ...real]) });
}

/** The same, from images that were read already. */
export function basesIn({ images, real }: Pick<Storage, "images" | "real">) {
  const overlays = images.flatMap(({ path, backing }) =>
    backing ? [{ path, on: real.get(backing.path) ?? backing.path }] : [],
  );
  return { volumes: images, images: overlays, real };
}

type Bases = ReturnType<typeof basesIn>;

/** The same, read once for the many domains of a batch. */
export const cachedBackingFiles = (ctx: Context) => memoize(() => readBases(ctx), CACHE_MS);

/** Throws `in_use` if a disk that the domain may write to is a backing file; `harm` completes the message. */
export async function assertNotBackingFile(
  ctx: Context,
  ref: string,
  name: string,
  bases: () => Promise<Bases> = () => readBases(ctx),
  harm = "which would break if it wrote to its disks",
) {
  const { volumes, images, real } = await bases();
  if (images.length === 0) return;
  const definition = parseXml((await readDefinition(ctx, ref)).text, "domain");
  const disks = disksOf(definition, false).filter(({ below, shared }) => !below && !shared);
  const paths = disks.flatMap(({ path, pool, volume }) => {
    const image = volumes.find(({ pool: at, name }) => at === pool && name === volume);
    return path || (image?.path ?? []);
  });
  const own = new Set((await realPaths(ctx, paths, {}, real)).values());
  const children = images
    .filter(({ on }) => own.has(on))
    .map(({ path }) => path)
    .sort();
  if (children.length === 0) return;
  const text = `domain ${name} is the base of ${children.join(", ")}, ${harm}`;
  throw new HyperError("in_use", text, { details: { children } });
}

/** The same for a domain to be deleted: its disks would belong to no domain, and could be removed under their overlays. */
export const assertDeletable = (
  ctx: Context,
  ref: string,
  name: string,
  bases?: () => Promise<Bases>,
) => assertNotBackingFile(ctx, ref, name, bases, "which must go first");
