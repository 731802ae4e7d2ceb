/** Reverting to a disk-only snapshot without libvirt, which cannot before 9.9. */
import { HyperError } from "../../../core/errors.ts";
import type { Context } from "../../../hypervisor/context.ts";
import { programError } from "../../../hypervisor/virsh-errors.ts";
import { type Disk, readDisk, readDisks } from "../../disk.ts";
import { runProgram } from "../../program.ts";
import { withRollback } from "../../rollback.ts";
import { createOverlay, readImageInfo } from "../../storage/qemu-img.ts";
import { children, type Element, parseXml } from "../../xml.ts";
import { domainState } from "../domain.ts";

interface Overlay {
  target: string;
  path: string;
  format: string;
}

/**
 * Replaces the overlays that were made with a snapshot by empty ones. Later writes are in the overlays and
 * nowhere else, so this works while they are the domain's disks: for the latest snapshot. `refusal`: libvirt's
 * own error, thrown where the snapshot has no overlays.
 */
export async function revertOverlays(
  ctx: Context,
  domain: string,
  name: string,
  refusal: HyperError,
) {
  const [definition = "", dominfo = "", present = ""] = await ctx.virsh.all([
    ["snapshot-dumpxml", "--domain", domain, "--snapshotname", name],
    ["dominfo", "--domain", domain],
    ["dumpxml", "--domain", domain, "--inactive"],
  ]);
  const snapshot = parseXml(definition, "domainsnapshot");
  const overlays = overlaysOf(snapshot);
  if (overlays.length === 0) throw refusal;
  const disks = disksByTarget(parseXml(present, "domain"));
  if (overlays.some(({ target, path }) => (disks.get(target)?.path ?? "") !== path)) {
    const text = `snapshot ${name} is not the latest; delete the later ones first`;
    throw new HyperError("in_use", text);
  }
  const before = disksByTarget(children(snapshot, "domain")[0]);
  const creations = await Promise.all(
    overlays.map((overlay) => planOverlay(ctx, name, overlay, before.get(overlay.target))),
  );
  await withRollback(ctx, `revert of ${domain} to ${name}`, async (journal) => {
    for (const { path, create } of creations)
      await journal.track({ kind: "file", path: temporary(path) }, create);
    if (domainState(dominfo).live) await ctx.virsh(["destroy", "--domain", domain]);
    await replaceOverlays(ctx, creations);
  });
}

/** The disks that a snapshot made overlays for. */
function overlaysOf(snapshot: Element): Overlay[] {
  return children(snapshot, "disks", "disk")
    .filter((disk) => disk["@snapshot"] === "external")
    .map((disk) => {
      const { path = "", format = "qcow2" } = readDisk(disk);
      return { target: `${disk["@name"]}`, path, format };
    });
}

async function planOverlay(
  ctx: Context,
  snapshot: string,
  { target, path, format }: Overlay,
  base?: Disk,
) {
  if (!base?.path)
    throw new HyperError("not_found", `snapshot ${snapshot} does not say what disk ${target} was`);
  const below = { path: base.path, format: base.format ?? "raw" };
  const info = await readImageInfo(ctx.exec, below.path, below.format);
  const backing = { ...below, size: info["virtual-size"] };
  const create = async () => {
    const result = await createOverlay(ctx.exec, temporary(path), backing, format);
    if (result.exitCode !== 0) throw programError("qemu-img create", result);
  };
  return { path, create };
}

async function replaceOverlays(ctx: Context, overlays: { path: string }[]) {
  for (const [i, { path }] of overlays.entries()) {
    const move = ["sh", "-c", REPLACE, "sh", temporary(path), path];
    await runProgram(ctx, move, {}, "mv").catch((error: HyperError) => {
      const text = `the domain is off, and ${i} of its ${overlays.length} disks are reverted`;
      throw new HyperError(error.code, `${error.message}; ${text}`, { cause: error });
    });
  }
}

/** Never moves into a folder; older BusyBoxes have no `mv -T`. */
const REPLACE = `[ ! -d "$2" ] || { echo "$2 is a folder" >&2; exit 1; }
mv -f -- "$1" "$2"`;

const temporary = (path: string) => `${path}.reverting`;

function disksByTarget(domain: Element | undefined): Map<string, Disk> {
  return new Map((domain ? readDisks(domain) : []).map((disk) => [disk.target, disk]));
}
