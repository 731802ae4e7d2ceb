/** Deleting a domain with all that libvirt keeps of it, and the volumes that are its own. */
import { HyperError } from "../../core/errors.ts";
import { memoize } from "../../core/memoize.ts";
import type { Context } from "../../hypervisor/context.ts";
import { assertDeletable, basesIn, cachedBackingFiles } from "../storage/backing.ts";
import { deleteVolume, type Kept } from "../storage/delete-volume.ts";
import { removeLooseFile } from "../storage/loose-files.ts";
import { readStorage, type Storage } from "../storage/usage.ts";
import { readBelongings } from "./belongings.ts";
import { type DomainState, domainState, nameIn } from "./domain.ts";
import { type OwnVolumes, ownVolumes } from "./own-volumes.ts";

/** Reading all domains and volumes costs too much to repeat for each domain of a large batch. */
const STORAGE_CACHE_MS = 5000;

/**
 * The use of volumes and backing files, read once for a batch. The names of domains and the paths of volumes
 * that the batch has deleted are added to `gone`, and do not count any more.
 */
export function storageSnapshot(ctx: Context, removesVolumes: boolean) {
  const gone = new Set<string>();
  const storage = memoize(() => readStorage(ctx), STORAGE_CACHE_MS);
  const readBases = removesVolumes ? async () => basesIn(await storage()) : cachedBackingFiles(ctx);
  return {
    gone,
    async bases() {
      const bases = await readBases();
      return { ...bases, images: bases.images.filter(({ path }) => !gone.has(path)) };
    },
    /** Undefined where no volumes are to be removed. */
    storage: async () => (removesVolumes ? storage() : undefined),
  };
}

/**
 * Switches the domain off, undefines it with NVRAM, saved state and snapshots, and removes the volumes that
 * are its own. Throws `in_use`, before anything, when images stand on its disks.
 */
export async function deleteDomain(
  ctx: Context,
  domain: string,
  snapshot: ReturnType<typeof storageSnapshot>,
) {
  const dominfo = await ctx.virsh(["dominfo", "--domain", domain]);
  const name = nameIn(dominfo) ?? domain; // the caller may have given its UUID
  await assertDeletable(ctx, domain, name, snapshot.bases);
  const storage = await snapshot.storage();
  const volumes =
    storage &&
    (await ownVolumes(ctx, storage, name, await readBelongings(ctx, domain), snapshot.gone));
  await undefineDomain(ctx, domain, domainState(dominfo));
  snapshot.gone.add(name);
  return volumes && removeVolumes(ctx, storage, volumes, snapshot.gone);
}

/** A transient domain is gone once it is off. */
async function undefineDomain({ virsh }: Context, domain: string, state: DomainState) {
  const { live, persistent } = state;
  if (live) await virsh(["destroy", "--domain", domain]);
  if (!persistent) return;
  const flags = ["--nvram", "--managed-save", "--snapshots-metadata", "--checkpoints-metadata"];
  await virsh(["undefine", "--domain", domain, ...flags]).catch((error: HyperError) => {
    if (!live) throw error;
    const text = `${error.message}; it was switched off and is still defined`;
    throw new HyperError(error.code, text);
  });
}

async function removeVolumes(
  ctx: Context,
  storage: Storage,
  { remove, kept }: OwnVolumes,
  gone: Set<string>,
) {
  const removed: string[] = [];
  const left: Kept[] = [...kept];
  for (const volume of remove) {
    const removing =
      volume.pool === undefined
        ? removeLooseFile(ctx, storage, volume)
        : deleteVolume(ctx, storage, volume);
    const result = await removing.catch((error: HyperError) => {
      const text = `the domain is deleted, but its volume ${volume.path} is left: ${error.message}`;
      throw new HyperError(error.code, text, { details: { removed, kept: left } });
    });
    for (const path of result.removed) gone.add(path);
    removed.push(...result.removed);
    left.push(...result.kept);
  }
  return { removed, kept: left };
}
