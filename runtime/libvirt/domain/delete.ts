/** Deleting a domain with all that libvirt keeps of it, and the volumes that are its own. */
import { HyperError } from "../../core/errors.ts";
import { memoize } from "../../core/memoize.ts";
import type { Context } from "../../hypervisor/context.ts";
import { assertDeletable, basesIn, cachedBackingFiles } from "../storage/backing.ts";
import { readStorage, type Storage, type Use } from "../storage/usage.ts";
import { type DomainState, domainState } from "./domain.ts";

/** Reading all domains and volumes costs too much to repeat for each domain of a large batch. */
const STORAGE_CACHE_MS = 5000;

interface OwnVolumes {
  remove: { pool: string; name: string; path: string }[];
  kept: { path: string; reason: string }[];
}

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
    async ownVolumes(domain: string): Promise<OwnVolumes | undefined> {
      return removesVolumes ? ownVolumes(await storage(), domain, gone) : undefined;
    },
  };
}

/** A volume that may belong to others too is kept, with the reason. */
function ownVolumes(storage: Storage, domain: string, gone: Set<string>): OwnVolumes {
  const remove = new Map<string, OwnVolumes["remove"][number]>();
  const kept = new Map<string, string>();
  const below = "it is below the domain's disk, not the disk itself";
  for (const use of storage.uses) {
    if (use.domain !== domain || !(use.path || use.volume)) continue;
    const volume = storage.volumeOf(use);
    const reason = use.below ? below : reasonToKeep(storage, use, volume, gone);
    if (reason) kept.set(volume?.path ?? use.path, reason);
    else if (volume) remove.set(volume.path, volume);
    // the definition of a domain that is off does not name the images below
    if (volume)
      for (const path of storage.backingChainOf(volume)) kept.set(path, kept.get(path) ?? below);
  }
  return {
    remove: [...remove.values()].filter(({ path }) => !kept.has(path)),
    kept: [...kept].map(([path, reason]) => ({ path, reason })),
  };
}

function reasonToKeep(
  storage: Storage,
  use: Use,
  volume: ReturnType<Storage["volumeOf"]>,
  gone: Set<string>,
): string | undefined {
  if (use.shared) return "it is a CD-ROM, read-only or shared";
  if (!volume) return "it is in no active pool";
  const domains = storage.disksUsing(volume).map(({ domain }) => domain);
  const other = domains.find((name) => name !== use.domain && !gone.has(name));
  if (other) return `domain ${other} uses it`;
  const overlays = storage.overlaysOf(volume).filter((path) => !gone.has(path));
  return overlays.length > 0 ? `it is the base of ${overlays.join(", ")}` : undefined;
}

/**
 * Switches the domain off, undefines it with NVRAM, saved state and snapshots, and removes the volumes that
 * are its own. Throws `in_use`, before anything, when images stand on its disks.
 */
export async function deleteDomain(
  ctx: Context,
  domain: string,
  storage: ReturnType<typeof storageSnapshot>,
) {
  const dominfo = await ctx.virsh(["dominfo", "--domain", domain]);
  const name = dominfo.match(/^Name: {11}(.*)$/m)?.[1] ?? domain; // the caller may have given its UUID
  await assertDeletable(ctx, domain, name, storage.bases);
  const volumes = await storage.ownVolumes(name);
  await undefineDomain(ctx, domain, domainState(dominfo));
  storage.gone.add(name);
  return volumes && removeVolumes(ctx, volumes, storage.gone);
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

async function removeVolumes({ virsh }: Context, { remove, kept }: OwnVolumes, gone: Set<string>) {
  const removed: string[] = [];
  for (const { pool, name, path } of remove) {
    await virsh(["vol-delete", "--pool", pool, "--vol", name]).catch((error: HyperError) => {
      const text = `the domain is deleted, but its volume ${path} is left: ${error.message}`;
      throw new HyperError(error.code, text, { details: { removed, kept } });
    });
    gone.add(path);
    removed.push(path);
  }
  return { removed, kept };
}
