/** What libvirt says of a domain's snapshots. */
import * as z from "zod";
import type { Context } from "./context.ts";
import { domainState } from "./domain.ts";
import { HyperError, programError } from "./errors.ts";
import { lines } from "./text.ts";
import { attribute, children, type Element, parseXml, textOf } from "./xml.ts";

export const Snapshot = z.object({
  name: z.string(),
  parent: z.string().nullable(),
  current: z.boolean().describe("the domain's present state comes from it"),
  state: z.string().describe("running, paused, shutoff, disk-snapshot"),
  created: z.iso.datetime(),
  description: z.string().nullable(),
  /** Within the images, or in overlay files beside them. */
  location: z.enum(["internal", "external"]),
});

/** Parents before their children: two round trips. */
export async function readSnapshots(
  { virsh }: Context,
  domain: string,
): Promise<z.output<typeof Snapshot>[]> {
  const [listed = "", ...rest] = await virsh.each([
    ["snapshot-list", "--domain", domain, "--name", "--topological"],
    ["snapshot-current", "--domain", domain, "--name"],
  ]);
  if (typeof listed !== "string") throw listed;
  const current = typeof rest[0] === "string" ? rest[0].replace(/\n$/, "") : undefined; // fails where there is none
  const names = lines(listed);
  const texts = await virsh.each(
    names.map((name) => ["snapshot-dumpxml", "--domain", domain, "--snapshotname", name]),
  );
  return texts.flatMap((text, i) =>
    typeof text === "string" ? [parseSnapshot(text, names[i] === current)] : [],
  );
}

function parseSnapshot(text: string, current: boolean): z.output<typeof Snapshot> {
  const snapshot = parseXml(text, "domainsnapshot");
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
 * Revert to a disk-only snapshot by emptying the overlays that were made with it. What was written since is
 * in them and nowhere else, so this is possible while they are the domain's disks: for the latest snapshot.
 */
export async function revertOverlays(ctx: Context, domain: string, name: string) {
  const [text = "", info = "", now = ""] = await ctx.virsh.all([
    ["snapshot-dumpxml", "--domain", domain, "--snapshotname", name],
    ["dominfo", "--domain", domain],
    ["dumpxml", "--domain", domain, "--inactive"],
  ]);
  const snapshot = parseXml(text, "domainsnapshot");
  const disks = children(snapshot, "disks", "disk").filter(
    (disk) => disk["@snapshot"] === "external",
  );
  const overlays = disks.map((disk) => ({
    target: `${disk["@name"]}`,
    path: attribute(disk, "file", "source") ?? "",
    format: attribute(disk, "type", "driver") ?? "qcow2",
  }));
  const before = sources(children(snapshot, "domain")[0]);
  const present = sources(parseXml(now, "domain"));
  const later = overlays.find(({ target, path }) => present.get(target)?.path !== path);
  if (later || overlays.length === 0) {
    throw new HyperError(
      "in_use",
      `snapshot ${name} is not the latest; delete the later ones first`,
    );
  }
  if (domainState(info).live) await ctx.virsh(["destroy", "--domain", domain]);
  for (const { target, path, format } of overlays) {
    const base = before.get(target);
    if (!base)
      throw new HyperError("not_found", `snapshot ${name} does not say what disk ${target} was`);
    const fresh = `${path}.reverting`;
    const create = [
      "qemu-img",
      "create",
      "-q",
      "-f",
      format,
      "-b",
      base.path,
      "-F",
      base.format,
      fresh,
    ];
    for (const argv of [create, ["mv", "-f", "-T", "--", fresh, path]]) {
      const done = await ctx.exec(argv);
      if (done.exitCode !== 0) throw programError(argv[0] ?? "", done);
    }
  }
}

function sources(domain: Element | undefined) {
  return new Map(
    children(domain, "devices", "disk").map((disk) => [
      attribute(disk, "dev", "target") ?? "",
      {
        path: attribute(disk, "file", "source") ?? "",
        format: attribute(disk, "type", "driver") ?? "raw",
      },
    ]),
  );
}
