/** Which volumes are a domain's own, so that they go with it, and why the others stay. */
import type { Context } from "../../hypervisor/context.ts";
import { readDisks } from "../disk.ts";
import { pathExists } from "../program.ts";
import type { Kept } from "../storage/delete-volume.ts";
import type { Storage } from "../storage/usage.ts";
import { lines } from "../virsh-output.ts";
import { attribute, children, type Element, parseXml } from "../xml.ts";

type Image = Storage["images"][number];

export interface OwnVolumes {
  remove: Image[];
  kept: Kept[];
}

/** The images that a domain's own snapshots name. */
interface SnapshotImages {
  /** What external snapshots have made. */
  overlays: string[];
  /** What the domain wrote to when a snapshot was taken. */
  disks: string[];
}

/** Snapshot metadata goes with the domain, so it must be read before. */
export async function readSnapshotImages({ virsh }: Context, ref: string): Promise<SnapshotImages> {
  const names = lines(await virsh(["snapshot-list", "--domain", ref, "--name"]));
  const texts = await virsh.all(
    names.map((name) => ["snapshot-dumpxml", "--domain", ref, "--snapshotname", name]),
  );
  const snapshots = texts.map((text) => parseXml(text, "domainsnapshot"));
  const external = snapshots.flatMap((snapshot) =>
    children(snapshot, "disks", "disk").filter((disk) => disk["@snapshot"] === "external"),
  );
  const file = (disk: Element) =>
    attribute(disk, "file", "source") ?? attribute(disk, "dev", "source") ?? [];
  const definitions = snapshots.flatMap((snapshot) => [
    ...children(snapshot, "domain"),
    ...children(snapshot, "inactiveDomain"),
  ]);
  return {
    overlays: external.flatMap(file),
    disks: external.length > 0 ? definitions.flatMap(writableDisks) : [],
  };
}

const writableDisks = (definition: Element) =>
  readDisks(definition)
    .filter(({ device, readonly, shareable }) => device === "disk" && !readonly && !shareable)
    .flatMap(({ path }) => path ?? []);

/** A volume that may belong to others too is kept, with the reason. `gone`: domains and images that count no more. */
export async function ownVolumes(
  ctx: Context,
  storage: Storage,
  domain: string,
  snapshots: SnapshotImages,
  gone: Set<string>,
): Promise<OwnVolumes> {
  const candidates = new Map<string, Image>();
  const kept = new Map<string, string>();
  const imageAt = (path: string) => storage.volumeOf({ path, pool: undefined, volume: undefined });
  const named = [...snapshots.overlays, ...snapshots.disks];
  const ofSnapshots = new Set(named.flatMap((path) => imageAt(path)?.path ?? []));
  const addBelow = (path: string, shared: boolean) => {
    const image = imageAt(path);
    if (image && !shared && ofSnapshots.has(image.path)) candidates.set(image.path, image);
    else kept.set(image?.path ?? path, BELOW);
  };
  for (const use of storage.uses) {
    if (use.domain !== domain || !(use.path || use.volume)) continue;
    const image = storage.volumeOf(use);
    if (use.below) addBelow(use.path, use.shared);
    else if (use.shared) kept.set(image?.path ?? use.path, "it is a CD-ROM, read-only or shared");
    else if (image) candidates.set(image.path, image);
    else kept.set(use.path, "it is in no active pool");
    // the definition of a domain that is off does not name the images below
    if (image) for (const path of storage.backingChainOf(image)) addBelow(path, use.shared);
  }
  for (const path of snapshots.overlays) {
    const image = imageAt(path);
    if (image && !kept.has(image.path)) candidates.set(image.path, image);
    if (image) for (const below of storage.backingChainOf(image)) addBelow(below, false);
    else if (await pathExists(ctx, path).catch(() => true))
      kept.set(path, "it is in no active pool");
  }
  for (const path of kept.keys()) candidates.delete(path);
  keepUsed(storage, domain, { candidates, kept }, gone);
  return {
    remove: [...candidates.values()],
    kept: [...kept].map(([path, reason]) => ({ path, reason })),
  };
}

const BELOW = "it is below the domain's disk, not the disk itself";

/** Moves what others use from the candidates to the kept, and then what stands below that. */
function keepUsed(
  storage: Storage,
  domain: string,
  { candidates, kept }: { candidates: Map<string, Image>; kept: Map<string, string> },
  gone: Set<string>,
) {
  for (let before = -1; before !== candidates.size; ) {
    before = candidates.size;
    for (const [path, image] of candidates) {
      const stays = (other: string) => !gone.has(other) && !candidates.has(other);
      const reason = reasonToKeep(storage, domain, image, stays);
      if (!reason) continue;
      candidates.delete(path);
      kept.set(path, reason);
    }
  }
}

function reasonToKeep(
  storage: Storage,
  domain: string,
  image: Image,
  stays: (other: string) => boolean,
): string | undefined {
  const isOther = (one: { domain: string }) => one.domain !== domain && stays(one.domain);
  const use = storage.disksUsing(image).find(isOther);
  if (use) return `domain ${use.domain} uses it`;
  const overlays = storage.overlaysOf(image).filter(stays);
  if (overlays.length > 0) return `it is the base of ${overlays.join(", ")}`;
  const dataUsers = storage.dataUsersOf(image).filter(stays);
  if (dataUsers.length > 0) return `it holds the data of ${dataUsers.join(", ")}`;
  const unknown = storage.unknown.find(isOther);
  return (
    unknown &&
    `it may be the base of ${unknown.path} of domain ${unknown.domain}, which cannot be read: ${unknown.reason}`
  );
}
