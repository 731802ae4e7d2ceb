/** Removing a domain with all that libvirt keeps of it, and the volumes that are its own. */
import type { Context } from "./context.ts";
import { domainState } from "./domain.ts";
import { HyperError } from "./errors.ts";
import { readStorage, type Storage } from "./storage.ts";
import { lines } from "./text.ts";
import { IMAGE_TIMEOUT } from "./volume.ts";

/** What stands on what, as it was at most this many milliseconds ago: reading it all is dear in a large batch. */
const FRESH = 5000;

interface Own {
  remove: { pool: string; name: string; path: string }[];
  kept: { path: string; reason: string }[];
}

/** Says which volumes are a domain's own. Domains that are `gone` do not count as users any more. */
export function storageKeeper(ctx: Context) {
  const gone = new Set<string>();
  let read: { at: number; storage: Promise<Storage> } | undefined;
  return {
    gone,
    async ownVolumes(domain: string): Promise<Own> {
      if (!read || performance.now() - read.at > FRESH) {
        read = { at: performance.now(), storage: readStorage(ctx) };
      }
      return ownVolumes(await read.storage, domain, gone);
    },
  };
}

/** Everything that is not surely the domain's alone is kept, and the answer says why. */
function ownVolumes(storage: Storage, domain: string, gone: Set<string>): Own {
  const own: Own = { remove: [], kept: [] };
  for (const use of storage.uses.filter(
    (one) => one.domain === domain && (one.path || one.volume),
  )) {
    const volume = storage.volumeOf(use);
    const path = volume?.path ?? use.path;
    const others = volume ? storage.usesOf(volume).map((other) => other.domain) : [];
    const other = others.find((name) => name !== domain && !gone.has(name));
    const children = volume ? storage.childrenOf(volume) : [];
    const reason = use.below
      ? "it is below the domain's disk, not the disk itself"
      : use.shared
        ? "it is a CD-ROM, read-only or shared"
        : !volume
          ? "it is in no active pool"
          : other
            ? `domain ${other} uses it`
            : children.length > 0 && `it is the base of ${children.join(", ")}`;
    if (reason || !volume) own.kept.push({ path, reason: reason || "" });
    else own.remove.push({ pool: volume.pool, name: volume.name, path });
  }
  return own;
}

/** Switch it off, forget it with NVRAM, saved state and snapshots, and remove what is its own. */
export async function deleteDomain(
  { virsh }: Context,
  domain: string,
  name: string,
  storage: ReturnType<typeof storageKeeper> | undefined,
) {
  const { live, persistent } = domainState(await virsh(["dominfo", "--domain", domain]));
  const own = await storage?.ownVolumes(name);
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
  storage?.gone.add(name);
  if (!own) return undefined;
  const removed: string[] = [];
  for (const { pool, name: volume, path } of own.remove) {
    await virsh(["vol-delete", "--pool", pool, "--vol", volume]).catch((error: HyperError) => {
      const text = `the domain is deleted, but its volume ${path} is left: ${error.message}`;
      throw new HyperError(error.code, text, { details: { removed, kept: own.kept } });
    });
    removed.push(path);
  }
  return { removed, kept: own.kept };
}

/** Children before their parents; the domain stays as it is. */
export async function deleteSnapshots({ virsh }: Context, domain: string) {
  const names = lines(
    await virsh(["snapshot-list", "--domain", domain, "--name", "--topological"]),
  );
  const deleted: string[] = [];
  for (const name of names.reverse()) {
    const command = ["snapshot-delete", "--domain", domain, "--snapshotname", name];
    await virsh.long(command, { timeout: IMAGE_TIMEOUT }).catch((error: HyperError) => {
      const left = names.filter((one) => !deleted.includes(one));
      throw new HyperError(error.code, `${error.message}; snapshots left: ${left.join(", ")}`);
    });
    deleted.push(name);
  }
  return { snapshots_deleted: deleted };
}
