/** Refuses operations on snapshots that would rewrite or merge the backing files of other images. */
import { HyperError } from "../../../core/errors.ts";
import type { Context } from "../../../hypervisor/context.ts";
import { readDisks } from "../../disk.ts";
import { readStorage } from "../../storage/usage.ts";
import { children, parseXml, textOf } from "../../xml.ts";
import { readSnapshots } from "./read.ts";

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

/** Deleting an external snapshot merges its overlay into the image below: linked clones of any of these would break. */
export async function assertChainNotShared(ctx: Context, domain: string) {
  if (!(await readSnapshots(ctx, domain)).some(({ location }) => location === "external")) return;
  const definition = parseXml(await ctx.virsh(["dumpxml", "--domain", domain]), "domain");
  const name = textOf(definition, "name") ?? "";
  const storage = await readStorage(ctx);
  const disks = storage.uses.filter((use) => use.domain === name && !use.below && !use.shared);
  const images = disks.flatMap((use) => storage.volumeOf(use) ?? []);
  const chain = images.flatMap((image) => [image.path, ...storage.backingChainOf(image)]);
  const overlays = storage.images
    .filter(({ path }) => chain.includes(path))
    .flatMap((image) => storage.overlaysOf(image))
    .filter((path) => !chain.includes(path));
  if (overlays.length === 0) return;
  const text = `${overlays.join(", ")} stand on the images that the snapshots of ${name} would be merged into`;
  throw new HyperError("in_use", text, { details: { children: overlays } });
}
