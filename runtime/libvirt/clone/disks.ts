/** The disks of a clone: whole copies, a bounded number at once, or overlays on the source's disks. */
import pLimit, { type LimitFunction } from "p-limit";
import { settings } from "../../core/settings.ts";
import type { Context } from "../../hypervisor/context.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import type { Journal } from "../journal.ts";
import { throwIfCancelled } from "../rollback.ts";
import { convertDisk } from "../storage/isolation-chain.ts";
import { intoVolume, shrinkImage } from "../storage/qemu-img.ts";
import { IMAGE_TIMEOUT_MS, type NewVolume, volumeXml } from "../storage/volume.ts";
import { descend, type XmlDocument } from "../xml-document.ts";
import { isDevice, type Plan } from "./plan.ts";

const copyLimits = new Map<string, LimitFunction>();

/** Bounds the copies at once on a hypervisor, whoever asked for them. */
function copyLimit(host: string): LimitFunction {
  const limit = copyLimits.get(host) ?? pLimit(settings().clone.copies);
  copyLimits.set(host, limit);
  return limit;
}

/** Makes the disks one after the other, so that a disconnected client is noticed between two. */
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

async function makeOverlay(ctx: Context, journal: Journal, { pool, name, from, path }: Plan) {
  const backing = { path: from.path, format: from.format };
  await createVolume(ctx, journal, pool, { name, capacity: from.size, format: "qcow2", backing });
  if (from.size % 1024 === 0) return;
  const result = await shrinkImage(ctx.exec, path, "qcow2", from.size);
  if (result.exitCode !== 0) throw programError("qemu-img resize", result);
}

/** Copies with qemu-img: libvirtd's own copy cannot be cancelled, and is refused while the source is paused. */
async function makeCopy(
  ctx: Context,
  journal: Journal,
  { pool, name, from, path, format }: Plan,
  paused: boolean,
) {
  throwIfCancelled(ctx);
  await createVolume(ctx, journal, pool, { name, capacity: from.size, format });
  const volume = { path, format, type: isDevice(path) ? "block" : "file" };
  const into = intoVolume(volume, from.size);
  const files = { source: from.path, sourceFormat: from.format, ...into };
  const limits = { timeout: IMAGE_TIMEOUT_MS, signal: ctx.signal };
  const result = await convertDisk(ctx, { ...files, shared: paused }, limits);
  if (result.exitCode !== 0) throw programError("qemu-img convert", result);
}

/** Creates a new volume; libvirt refuses a name that is taken. */
function createVolume(ctx: Context, journal: Journal, pool: string, volume: NewVolume) {
  const create = ["vol-create", "--pool", pool, "--file", volumeXml(volume)];
  return journal.track({ kind: "volume", pool, name: volume.name }, () => ctx.virsh(create));
}

/** Points a disk of the clone's definition to its copy. */
export function retargetDisk(doc: XmlDocument, { span, from, pool, name, path, format }: Plan) {
  const [source] = descend([span], ["source"]);
  const [driver] = descend([span], ["driver"]);
  if (source?.attributes.volume) {
    doc.setAttribute(source, "pool", pool);
    doc.setAttribute(source, "volume", name);
  } else if (source) {
    const [key, other] = isDevice(path) ? ["dev", "file"] : ["file", "dev"];
    doc.setAttribute(span, "type", key === "dev" ? "block" : "file");
    doc.setAttribute(source, key, path);
    doc.setAttribute(source, other, undefined);
  }
  if (driver && format !== from.format) doc.setAttribute(driver, "type", format);
  for (const chain of descend([span], ["backingStore"])) doc.remove(chain); // libvirt detects the chain anew
}
