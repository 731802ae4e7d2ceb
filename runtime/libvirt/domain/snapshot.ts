/** What libvirt says of a domain's snapshots. */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import { withRollback } from "../rollback.ts";
import { readStorage } from "../storage/usage.ts";
import { lines } from "../virsh-output.ts";
import { attribute, children, type Element, parseXml, textOf } from "../xml.ts";
import { domainState } from "./domain.ts";

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
  { virsh }: Context,
  domain: string,
): Promise<z.output<typeof Snapshot>[]> {
  const [listed = "", ...rest] = await virsh.settled([
    ["snapshot-list", "--domain", domain, "--name", "--topological"],
    ["snapshot-current", "--domain", domain, "--name"],
  ]);
  if (typeof listed !== "string") throw listed;
  const current = typeof rest[0] === "string" ? rest[0].replace(/\n$/, "") : undefined; // fails where there is none
  const names = lines(listed);
  const texts = await virsh.settled(
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
export async function revertOverlays(ctx: Context, domain: string, name: string, why: HyperError) {
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
  if (overlays.length === 0) throw why; // it is within the images, and libvirt has another reason
  if (overlays.some(({ target, path }) => present.get(target)?.path !== path)) {
    throw new HyperError(
      "in_use",
      `snapshot ${name} is not the latest; delete the later ones first`,
    );
  }
  const fresh = overlays.map(({ target, path, format }) => {
    const base = before.get(target);
    if (!base?.path)
      throw new HyperError("not_found", `snapshot ${name} does not say what disk ${target} was`);
    const below = ["-b", base.path, "-F", base.format];
    return { path, create: ["qemu-img", "create", "-q", "-f", format, ...below, beside(path)] };
  });
  await withRollback(ctx, `revert of ${domain} to ${name}`, async (noted) => {
    for (const { path, create } of fresh)
      await noted.track({ kind: "file", path: beside(path) }, () => run(ctx, create));
    if (domainState(info).live) await ctx.virsh(["destroy", "--domain", domain]);
    await replace(ctx, fresh);
  });
}

async function replace(ctx: Context, fresh: { path: string }[]) {
  for (const [i, { path }] of fresh.entries()) {
    await run(ctx, ["mv", "-f", "-T", "--", beside(path), path]).catch((error: HyperError) => {
      const text = `the domain is off, and ${i} of its ${fresh.length} disks are reverted`;
      throw new HyperError(error.code, `${error.message}; ${text}`, { cause: error });
    });
  }
}

const beside = (path: string) => `${path}.reverting`;

async function run(ctx: Context, argv: string[]) {
  const done = await ctx.exec(argv);
  if (done.exitCode !== 0) throw programError(argv[0] ?? "", done);
}

/**
 * Reverting within an image rewrites it, also when the domain has gone on to an overlay: linked clones and
 * the domain's own later overlays would break.
 */
export async function refuseRewrite(ctx: Context, domain: string, name: string) {
  const dump = ["snapshot-dumpxml", "--domain", domain, "--snapshotname", name];
  const snapshot = parseXml(await ctx.virsh(dump), "domainsnapshot");
  const inside = children(snapshot, "disks", "disk").filter(
    (disk) => disk["@snapshot"] === "internal",
  );
  if (inside.length === 0) return;
  const then = sources(children(snapshot, "domain")[0]);
  const storage = await readStorage(ctx);
  const images = inside.flatMap((disk) => {
    const place = then.get(`${disk["@name"]}`);
    return place ? (storage.volumeOf(place) ?? []) : [];
  });
  const above = [...new Set(images.flatMap((image) => storage.overlaysOf(image)))];
  if (above.length === 0) return;
  const text = `snapshot ${name} is within the base of ${above.join(", ")}, which would break`;
  throw new HyperError("in_use", text, { details: { children: above } });
}

/** Deleting a snapshot merges its overlay into the image below: linked clones of any of these would break. */
export async function refuseSharedChain(ctx: Context, domain: string) {
  if (!(await readSnapshots(ctx, domain)).some(({ location }) => location === "external")) return;
  const definition = parseXml(await ctx.virsh(["dumpxml", "--domain", domain]), "domain");
  const name = textOf(definition, "name") ?? "";
  const storage = await readStorage(ctx);
  const top = storage.uses.filter((use) => use.domain === name && !use.below && !use.shared);
  const images = top.flatMap((use) => storage.volumeOf(use) ?? []);
  const chain = images.flatMap((image) => [image.path, ...storage.backingChainOf(image)]);
  const all = storage.images.filter(({ path }) => chain.includes(path));
  const others = all.flatMap((image) => storage.overlaysOf(image));
  const children = others.filter((path) => !chain.includes(path));
  if (children.length === 0) return;
  const text = `${children.join(", ")} stand on the images that the snapshots of ${name} would be merged into`;
  throw new HyperError("in_use", text, { details: { children } });
}

function sources(domain: Element | undefined) {
  return new Map(
    children(domain, "devices", "disk").map((disk) => [
      attribute(disk, "dev", "target") ?? "",
      {
        path: attribute(disk, "file", "source") ?? attribute(disk, "dev", "source") ?? "",
        pool: attribute(disk, "pool", "source"),
        volume: attribute(disk, "volume", "source"),
        format: attribute(disk, "type", "driver") ?? "raw",
      },
    ]),
  );
}
