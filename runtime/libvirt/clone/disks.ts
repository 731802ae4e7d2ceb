/** Making a clone's disks: whole copies, a bounded number at once, or overlays on the source's. */
import pLimit, { type LimitFunction } from "p-limit";
import { settings } from "../../core/settings.ts";
import type { Context } from "../../hypervisor/context.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import type { Journal } from "../journal.ts";
import { throwIfCancelled } from "../rollback.ts";
import { IMAGE_TIMEOUT, type NewVolume, volumeXml } from "../storage/volume.ts";
import { descend, type XmlDocument } from "../xml-document.ts";
import { isDevice, type Plan } from "./plan.ts";

const copying = new Map<string, LimitFunction>();

/** Copies at once on a hypervisor, whoever asked for them. */
function copyLimit(host: string): LimitFunction {
  const found = copying.get(host) ?? pLimit(settings().clone.copies);
  copying.set(host, found);
  return found;
}

/** Between copies a caller who has gone is noticed. */
export async function makeDisks(
  ctx: Context,
  journal: Journal,
  plans: Plan[],
  { linked, paused }: { linked: boolean; paused: boolean },
) {
  for (const plan of plans) {
    if (linked) await makeOverlay(ctx, journal, plan);
    else await copyLimit(ctx.host)(() => makeCopy(ctx, journal, plan, paused));
  }
}

function makeOverlay(ctx: Context, journal: Journal, { pool, name, from }: Plan) {
  const backing = { path: from.path, format: from.format };
  return createVolume(ctx, journal, pool, { name, capacity: from.size, format: "qcow2", backing });
}

/** qemu-img copies, and not libvirtd, whose copy cannot be stopped and is refused while the source is paused. */
async function makeCopy(
  ctx: Context,
  journal: Journal,
  { pool, name, from, path, format }: Plan,
  paused: boolean,
) {
  throwIfCancelled(ctx);
  await createVolume(ctx, journal, pool, { name, capacity: from.size, format });
  const share = paused ? ["-U"] : [];
  const fresh = isDevice(path) ? [] : ["--target-is-zero"];
  const formats = ["-f", from.format, "-O", format];
  const argv = ["qemu-img", "convert", "-n", ...share, ...fresh, ...formats, from.path, path];
  const done = await ctx.exec(argv, { timeout: IMAGE_TIMEOUT, signal: ctx.signal });
  if (done.exitCode !== 0) throw programError("qemu-img convert", done);
}

/** A new volume; libvirt refuses a name that is taken. */
function createVolume(ctx: Context, journal: Journal, pool: string, volume: NewVolume) {
  const create = ["vol-create", "--pool", pool, "--file", volumeXml(volume)];
  return journal.track({ kind: "volume", pool, name: volume.name }, () => ctx.virsh(create));
}

/** Have a disk of the clone's definition refer to its copy. */
export function retargetDisk(doc: XmlDocument, { span, from, pool, name, path, format }: Plan) {
  const [place] = descend([span], ["source"]);
  const [driver] = descend([span], ["driver"]);
  if (place?.attributes.volume) {
    doc.setAttribute(place, "pool", pool);
    doc.setAttribute(place, "volume", name);
  } else if (place) {
    const [key, other] = isDevice(path) ? ["dev", "file"] : ["file", "dev"];
    doc.setAttribute(span, "type", key === "dev" ? "block" : "file");
    doc.setAttribute(place, key, path);
    doc.setAttribute(place, other, undefined);
  }
  if (driver && format !== from.format) doc.setAttribute(driver, "type", format);
  for (const chain of descend([span], ["backingStore"])) doc.remove(chain); // libvirt finds out what is below
}
