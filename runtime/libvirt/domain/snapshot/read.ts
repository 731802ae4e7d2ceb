/** A domain's snapshots as libvirt knows them. */
import * as z from "zod";
import type { Context } from "../../../hypervisor/context.ts";
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
