/** Refuses operations on snapshots that would rewrite or merge the backing files of other images. */
import { HyperError } from "../../../core/errors.ts";
import type { Context } from "../../../hypervisor/context.ts";
import { readDisks } from "../../disk.ts";
import { readStorage } from "../../storage/usage.ts";
import { keyValues } from "../../virsh-output.ts";
import { children, parseXml } from "../../xml.ts";
import { readOwnImages } from "./read.ts";

/**
 * Reverting within an image rewrites it, even when the domain has gone on to an overlay: linked clones and
 * the domain's own later overlays would break.
 */
export async function assertNoOverlays(ctx: Context, domain: string, name: string) {
  const dump = ["snapshot-dumpxml", "--domain", domain, "--snapshotname", name];
  const snapshot = parseXml(await ctx.virsh(dump), "domainsnapshot");
  const internal = children(snapshot, "disks", "disk")
    .filter((disk) => disk["@snapshot"] === "internal")
    .map((disk) => disk["@name"]);
  if (internal.length === 0) return;
  const [definition = {}] = children(snapshot, "domain");
  const disks = readDisks(definition).filter(({ target }) => internal.includes(target));
  const storage = await readStorage(ctx);
  const images = disks.flatMap(
    ({ path = "", pool, volume }) => storage.volumeOf({ path, pool, volume }) ?? [],
  );
  const overlays = [...new Set(images.flatMap((image) => storage.overlaysOf(image)))];
  if (overlays.length === 0) return;
  const text = `snapshot ${name} is within the base of ${overlays.join(", ")}, which would break`;
  throw new HyperError("in_use", text, { details: { children: overlays } });
}

/**
 * Deleting an external snapshot merges its overlay into the image below: linked clones of any of these would break.
 * A revert leaves overlays that are not below the domain's disks any more; those that its snapshots name are its own.
 */
export async function assertChainNotShared(ctx: Context, domain: string) {
  const own = await readOwnImages(ctx, domain);
  if (own.size === 0) return;
  const name = keyValues(await ctx.virsh(["dominfo", "--domain", domain])).Name ?? domain;
  const storage = await readStorage(ctx);
  const disks = storage.uses.filter((use) => use.domain === name && !use.below && !use.shared);
  const images = disks.flatMap((use) => storage.volumeOf(use) ?? []);
  const chain = new Set(images.map(({ path }) => path));
  for (const path of own) chain.add(storage.volumeOf(atPath(path))?.path ?? path);
  for (const path of [...chain]) {
    const image = storage.volumeOf(atPath(path));
    for (const below of image ? storage.backingChainOf(image) : []) chain.add(below);
  }
  const overlays = storage.images
    .filter(({ path }) => chain.has(path))
    .flatMap((image) => storage.overlaysOf(image))
    .filter((path) => !chain.has(path));
  if (overlays.length === 0) return;
  const text = `${overlays.join(", ")} stand on the images that the snapshots of ${name} would be merged into`;
  throw new HyperError("in_use", text, { details: { children: overlays } });
}

const atPath = (path: string) => ({ path, pool: undefined, volume: undefined });
