/** Removing a domain with all that libvirt keeps of it, and the volumes that are its own. */

import { HyperError } from "../../core/errors.ts";
import { memoize } from "../../core/memoize.ts";
import type { Context } from "../../hypervisor/context.ts";
import { assertDeletable, basesIn, cachedBackingFiles } from "../storage/backing.ts";
import { readStorage, type Storage, type Use } from "../storage/usage.ts";
import { IMAGE_TIMEOUT } from "../storage/volume.ts";
import { lines } from "../virsh-output.ts";
import { domainState } from "./domain.ts";
import { refuseSharedChain } from "./snapshot.ts";

/** What stands on what, as it was at most this many milliseconds ago: reading it all is dear in a large batch. */
const FRESH = 5000;

interface Own {
  remove: { pool: string; name: string; path: string }[];
  kept: { path: string; reason: string }[];
}

/**
 * What stands on what, for a batch that also `removes` volumes, or does not: the domains, by name, and volumes,
 * by path, that are `gone` do not count any more.
 */
export function storageSnapshot(ctx: Context, removes: boolean) {
  const gone = new Set<string>();
  const storage = memoize(() => readStorage(ctx), FRESH);
  const bases = removes ? async () => basesIn(await storage()) : cachedBackingFiles(ctx);
  return {
    gone,
    async bases() {
      const read = await bases();
      return { ...read, images: read.images.filter(({ path }) => !gone.has(path)) };
    },
    async ownVolumes(domain: string): Promise<Own | undefined> {
      return removes ? ownVolumes(await storage(), domain, gone) : undefined;
    },
  };
}

/** Everything that is not surely the domain's alone is kept, and the answer says why. */
function ownVolumes(storage: Storage, domain: string, gone: Set<string>): Own {
  const remove = new Map<string, Own["remove"][number]>();
  const kept = new Map<string, string>();
  const below = "it is below the domain's disk, not the disk itself";
  for (const use of storage.uses) {
    if (use.domain !== domain || !(use.path || use.volume)) continue;
    const volume = storage.volumeOf(use);
    const reason = use.below ? below : reasonToKeep(storage, use, volume, gone);
    if (reason) kept.set(volume?.path ?? use.path, reason);
    else if (volume) remove.set(volume.path, volume);
    // the definition of a domain that is off does not tell what is below
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
  const others = storage.disksUsing(volume).map(({ domain }) => domain);
  const other = others.find((name) => name !== use.domain && !gone.has(name));
  if (other) return `domain ${other} uses it`;
  const children = storage.overlaysOf(volume).filter((path) => !gone.has(path));
  return children.length > 0 ? `it is the base of ${children.join(", ")}` : undefined;
}

/**
 * Switch it off, forget it with NVRAM, saved state and snapshots, and remove the volumes that are its own.
 * Throws `in_use`, before anything, when images stand on its disks.
 */
export async function deleteDomain(
  ctx: Context,
  domain: string,
  storage: ReturnType<typeof storageSnapshot>,
) {
  const { virsh } = ctx;
  const info = await virsh(["dominfo", "--domain", domain]);
  const { live, persistent } = domainState(info);
  const name = info.match(/^Name: {11}(.*)$/m)?.[1] ?? domain; // the caller may have given its UUID
  await assertDeletable(ctx, domain, name, storage.bases);
  const own = await storage.ownVolumes(name);
  if (live) await virsh(["destroy", "--domain", domain]);
  if (persistent) {
    const flags = ["--nvram", "--managed-save", "--snapshots-metadata", "--checkpoints-metadata"];
    await virsh(["undefine", "--domain", domain, ...flags]).catch((error: HyperError) => {
      if (!live) throw error;
      throw new HyperError(
        error.code,
        `${error.message}; it was switched off and is still defined`,
      );
    });
  }
  storage.gone.add(name);
  if (!own) return undefined;
  const removed: string[] = [];
  for (const { pool, name: volume, path } of own.remove) {
    await virsh(["vol-delete", "--pool", pool, "--vol", volume]).catch((error: HyperError) => {
      const text = `the domain is deleted, but its volume ${path} is left: ${error.message}`;
      throw new HyperError(error.code, text, { details: { removed, kept: own.kept } });
    });
    storage.gone.add(path);
    removed.push(path);
  }
  return { removed, kept: own.kept };
}

/** Children before their parents; the domain stays as it is. */
export async function deleteSnapshots(ctx: Context, domain: string) {
  await refuseSharedChain(ctx, domain);
  const { virsh } = ctx;
  const names = lines(
    await virsh(["snapshot-list", "--domain", domain, "--name", "--topological"]),
  );
  const deleted: string[] = [];
  for (const name of names.reverse()) {
    const command = ["snapshot-delete", "--domain", domain, "--snapshotname", name];
    await virsh.oneShot(command, { timeout: IMAGE_TIMEOUT }).catch((error: HyperError) => {
      const left = names.filter((one) => !deleted.includes(one));
      throw new HyperError(error.code, `${error.message}; snapshots left: ${left.join(", ")}`);
    });
    deleted.push(name);
  }
  return { snapshots_deleted: deleted };
}
