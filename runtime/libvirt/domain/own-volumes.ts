/** Which volumes and files of no pool are a domain's own, so that they go with it, and why the others stay. */
import type { Context } from "../../hypervisor/context.ts";
import type { SeedMark } from "../cloud-init/attach-seed.ts";
import { pathExists } from "../program.ts";
import { nameFor } from "../shown-domains.ts";
import type { Kept } from "../storage/delete-volume.ts";
import { whyUnknown } from "../storage/look.ts";
import { type LooseFile, NO_POOL, readLooseFiles } from "../storage/loose-files.ts";
import { realPaths } from "../storage/real-paths.ts";
import type { Storage } from "../storage/usage.ts";
import type { Use } from "../storage/uses.ts";
import type { Belongings, SnapshotImages } from "./belongings.ts";

type Image = Storage["images"][number] | LooseFile;

export interface OwnVolumes {
  remove: Image[];
  kept: Kept[];
}

/** A volume that may belong to others too is kept, with the reason. `gone`: domains and images that count no more. */
export async function ownVolumes(
  ctx: Context,
  storage: Storage,
  domain: string,
  { snapshots, seed }: Belongings,
  gone: Set<string>,
): Promise<OwnVolumes> {
  const candidates = new Map<string, Image>();
  const kept = new Map<string, string>();
  const uses = storage.uses.filter(
    (use) => use.domain === domain && (use.path !== "" || use.volume !== undefined),
  );
  const { imageOf, whyOutside } = await findImages(ctx, storage, uses, snapshots);
  const imageAt = (path: string) => imageOf({ path, pool: undefined, volume: undefined });
  const named = [...snapshots.overlays, ...snapshots.disks];
  const ofSnapshots = new Set(named.flatMap((path) => imageAt(path)?.path ?? []));
  const addBelow = (path: string, stays: boolean) => {
    const image = imageAt(path);
    if (image && !stays && ofSnapshots.has(image.path)) candidates.set(image.path, image);
    else kept.set(image?.path ?? path, BELOW);
  };
  // what stays needs all that is below it
  const staying = new Set(
    uses.filter((use) => !use.below && !imageOf(use)).map(({ target }) => target),
  );
  for (const use of uses) {
    const image = imageOf(use);
    const stays = use.shared || staying.has(use.target);
    if (use.below) addBelow(use.path, stays);
    else if (use.shared && !isSeed(use, image, seed))
      kept.set(image?.path ?? use.path, "it is a CD-ROM, read-only or shared");
    else if (image) candidates.set(image.path, image);
    else kept.set(use.path, whyOutside(use.path));
    // the definition of a domain that is off does not name the images below
    if (image) for (const path of storage.backingChainOf(image)) addBelow(path, stays);
  }
  for (const path of snapshots.overlays) {
    const image = imageAt(path);
    if (image && !kept.has(image.path)) candidates.set(image.path, image);
    if (image) for (const below of storage.backingChainOf(image)) addBelow(below, false);
    else if (await pathExists(ctx, path).catch(() => true)) kept.set(path, whyOutside(path));
  }
  const idle = seed && storage.images.find((image) => isNamed(image, seed));
  if (idle && !uses.some((use) => imageOf(use) === idle)) kept.set(idle.path, IDLE_SEED);
  for (const path of kept.keys()) candidates.delete(path);
  keepUsed(ctx, storage, domain, { candidates, kept }, gone);
  return {
    remove: [...candidates.values()],
    kept: [...kept].map(([path, reason]) => ({ path, reason })),
  };
}

const IDLE_SEED = "it was made for the domain's cloud-init, and is in no drive of it any more";

const isNamed = (image: Image | undefined, { pool, volume }: SeedMark) =>
  image?.pool === pool && image.name === volume;

/** The drive still has what was made for it, and not another CD-ROM of the caller's. */
const isSeed = ({ target }: Use, image: Image | undefined, seed: SeedMark | undefined) =>
  seed?.target === target && isNamed(image, seed);

type Named = Pick<Use, "path" | "pool" | "volume">;

/** Finds the volume that a disk or a snapshot names, or the file of no pool if that may be removed at all. */
async function findImages(
  ctx: Context,
  storage: Storage,
  uses: Use[],
  { overlays, disks }: SnapshotImages,
) {
  const named = [...overlays, ...disks];
  const real = await realPaths(ctx, named, {}, storage.real);
  const realOf = (path: string) => storage.real.get(path) ?? real.get(path) ?? path;
  const volumeOf = (use: Named) => storage.volumeOf({ ...use, path: use.path && realOf(use.path) });
  const ofSnapshots = new Set(named.map(realOf));
  const loose = [
    ...uses.filter((use) => !use.below || ofSnapshots.has(realOf(use.path))),
    ...overlays.map((path) => ({ path, pool: undefined, volume: undefined })),
  ].filter((use) => use.path.startsWith("/") && !volumeOf(use));
  const paths = [...new Set(loose.map(({ path }) => realOf(path)))];
  const { files, kept } = await readLooseFiles(ctx, storage, paths);
  return {
    imageOf: (use: Named): Image | undefined => volumeOf(use) ?? files.get(realOf(use.path)),
    whyOutside: (path: string) => kept.get(realOf(path)) ?? NO_POOL,
  };
}

const BELOW = "it is below the domain's disk, not the disk itself";

/** Moves what others use from the candidates to the kept, and then what stands below that. */
function keepUsed(
  ctx: Context,
  storage: Storage,
  domain: string,
  { candidates, kept }: { candidates: Map<string, Image>; kept: Map<string, string> },
  gone: Set<string>,
) {
  for (let before = -1; before !== candidates.size; ) {
    before = candidates.size;
    for (const [path, image] of candidates) {
      const stays = (other: string) => !gone.has(other) && !candidates.has(other);
      const reason = reasonToKeep(ctx, storage, domain, image, stays);
      if (!reason) continue;
      candidates.delete(path);
      kept.set(path, reason);
    }
  }
}

function reasonToKeep(
  ctx: Context,
  storage: Storage,
  domain: string,
  image: Image,
  stays: (other: string) => boolean,
): string | undefined {
  const isOther = (one: { domain: string }) => one.domain !== domain && stays(one.domain);
  const use = storage.disksUsing(image).find(isOther);
  if (use) return `${nameFor(ctx, use.domain)} uses it`;
  const overlays = storage.overlaysOf(image).filter(stays);
  if (overlays.length > 0) return `it is the base of ${overlays.join(", ")}`;
  const dataUsers = storage.dataUsersOf(image).filter(stays);
  if (dataUsers.length > 0) return `it holds the data of ${dataUsers.join(", ")}`;
  if (image.pool === undefined) {
    const user = image.users.find(({ path }) => stays(path));
    if (user) return user.reason;
  }
  const unknown = storage.unknown.find(isOther);
  return unknown && `it ${whyUnknown(ctx, unknown)}`;
}
