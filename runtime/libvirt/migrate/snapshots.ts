/** Snapshots of a domain that moves: the data of internal ones is in its disks, and libvirt is told of them anew. */
import type { Context } from "../../hypervisor/context.ts";
import { lines } from "../virsh-output.ts";
import { attribute, children, parseXml } from "../xml.ts";

export interface SnapshotCopy {
  name: string;
  /** Its definition, with the domain's as it was then. */
  text: string;
  /** It has files of its own beside the domain's disks. */
  isExternal: boolean;
  isCurrent: boolean;
}

/** Parents come before their children. */
export async function readSnapshotList(
  { virsh }: Pick<Context, "virsh">,
  uuid: string,
): Promise<SnapshotCopy[]> {
  const list = ["snapshot-list", "--domain", uuid, "--name", "--topological"];
  const names = lines(await virsh(list));
  if (names.length === 0) return [];
  const [current, ...texts] = await virsh.settled([
    ["snapshot-current", "--domain", uuid, "--name"],
    ...names.map((name) => [
      ...["snapshot-dumpxml", "--domain", uuid, "--snapshotname", name],
      "--security-info",
    ]),
  ]);
  return names.map((name, i) => {
    const text = texts[i];
    if (typeof text !== "string") throw text;
    const snapshot = parseXml(text, "domainsnapshot");
    const isExternal =
      attribute(snapshot, "snapshot", "memory") === "external" ||
      children(snapshot, "disks", "disk").some((disk) => disk["@snapshot"] === "external");
    const isCurrent = typeof current === "string" && current.replace(/\n+$/, "") === name;
    return { name, text, isExternal, isCurrent };
  });
}

/** Tells the target's libvirt of them. */
export async function redefineSnapshots(
  { virsh }: Pick<Context, "virsh">,
  uuid: string,
  snapshots: SnapshotCopy[],
) {
  for (const { text, isCurrent } of snapshots) {
    const flags = ["--redefine", ...(isCurrent ? ["--current"] : [])];
    await virsh(["snapshot-create", "--domain", uuid, "--xmlfile", { text }, ...flags]);
  }
}
