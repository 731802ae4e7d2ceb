/** A domain's snapshots as libvirt knows them. */
import * as z from "zod";
import type { Context } from "../../../hypervisor/context.ts";
import { readDisk, readDisks } from "../../disk.ts";
import { lines } from "../../virsh-output.ts";
import { children, parseXml, textOf } from "../../xml.ts";

export const Snapshot = z
  .object({
    name: z.string(),
    parent: z.string().nullable(),
    current: z.boolean().describe("the domain's present state comes from it"),
    state: z.string().describe("running, paused, shutoff, disk-snapshot"),
    created: z.iso.datetime(),
    description: z.string().nullable(),
    location: z
      .enum(["internal", "external"])
      .describe("within the images, or in overlay files beside them"),
  })
  .meta({ id: "Snapshot" });

/** Parents before their children: two round trips. */
export async function readSnapshots(
  { virsh }: Pick<Context, "virsh">,
  domain: string,
): Promise<z.output<typeof Snapshot>[]> {
  const [list = "", latest] = await virsh.settled([
    ["snapshot-list", "--domain", domain, "--name", "--topological"],
    ["snapshot-current", "--domain", domain, "--name"],
  ]);
  if (typeof list !== "string") throw list;
  // snapshot-current fails where no snapshot is current
  const current = typeof latest === "string" ? latest.replace(/\n$/, "") : undefined;
  const names = lines(list);
  const definitions = await virsh.settled(
    names.map((name) => ["snapshot-dumpxml", "--domain", domain, "--snapshotname", name]),
  );
  return definitions.flatMap((definition, i) =>
    typeof definition === "string" ? [parseSnapshot(definition, names[i] === current)] : [],
  );
}

function parseSnapshot(definition: string, current: boolean): z.output<typeof Snapshot> {
  const snapshot = parseXml(definition, "domainsnapshot");
  const parts = [...children(snapshot, "memory"), ...children(snapshot, "disks", "disk")];
  return {
    name: textOf(snapshot, "name") ?? "",
    parent: textOf(snapshot, "parent", "name") ?? null,
    current,
    state: textOf(snapshot, "state") ?? "",
    created: new Date(Number(textOf(snapshot, "creationTime")) * 1000).toISOString(),
    description: textOf(snapshot, "description") ?? null,
    location: parts.some((part) => part["@snapshot"] === "external") ? "external" : "internal",
  };
}

/**
 * The images that the domain's external snapshots name as the domain's own: the overlays made with each, the disks
 * that each was taken of, and the overlays of later reverts. Empty without external snapshots.
 */
export async function readOwnImages(
  { virsh }: Pick<Context, "virsh">,
  domain: string,
): Promise<Set<string>> {
  const names = lines(await virsh(["snapshot-list", "--domain", domain, "--name"]));
  const definitions = await virsh.all(
    names.map((name) => ["snapshot-dumpxml", "--domain", domain, "--snapshotname", name]),
  );
  const snapshots = definitions.map((definition) => parseXml(definition, "domainsnapshot"));
  const paths = snapshots.flatMap((snapshot) => {
    const made = [
      ...children(snapshot, "disks", "disk"),
      ...children(snapshot, "revertDisks", "disk"),
    ].filter((disk) => disk["@snapshot"] === "external");
    const targets = made.map((disk) => disk["@name"]);
    const before = ["domain", "inactiveDomain"].flatMap((definition) =>
      children(snapshot, definition).flatMap(readDisks),
    );
    const taken = before.filter(({ target }) => targets.includes(target));
    return [...made.map(readDisk), ...taken].map(({ path = "" }) => path);
  });
  return new Set(paths.filter((path) => path !== ""));
}
