/** What of its storage a domain alone can tell: in its metadata, and in its snapshots. */
import type { Context } from "../../hypervisor/context.ts";
import { readSeedMark, type SeedMark } from "../cloud-init/attach-seed.ts";
import { readDefinition } from "../definitions.ts";
import { readDisks } from "../disk.ts";
import { lines } from "../virsh-output.ts";
import { attribute, children, type Element, parseXml } from "../xml.ts";

/** The images that a domain's own snapshots name. */
export interface SnapshotImages {
  /** What external snapshots have made. */
  overlays: string[];
  /** What the domain wrote to when a snapshot was taken. */
  disks: string[];
}

export interface Belongings {
  snapshots: SnapshotImages;
  /** What was made for its cloud-init. */
  seed: SeedMark | undefined;
}

/** It goes with the domain, so it must be read before. */
export async function readBelongings(ctx: Context, ref: string): Promise<Belongings> {
  const [{ text }, snapshots] = await Promise.all([
    readDefinition(ctx, ref),
    readSnapshotImages(ctx, ref),
  ]);
  return { snapshots, seed: readSeedMark(parseXml(text, "domain")) };
}

async function readSnapshotImages({ virsh }: Context, ref: string): Promise<SnapshotImages> {
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
