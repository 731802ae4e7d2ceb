/** The disks of a clone: whole copies, a bounded number at once, or overlays on the source's disks. */
import pLimit, { type LimitFunction } from "p-limit";
import { settings } from "../../core/settings.ts";
import type { Context } from "../../hypervisor/context.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import type { Journal } from "../journal.ts";
import { throwIfCancelled } from "../rollback.ts";
import { fillVolume } from "../storage/fill-volume.ts";
import { mayRead, needsRoot } from "../storage/image-access.ts";
import { assertCopyable, convertDisk } from "../storage/isolation-chain.ts";
import { type DiskImage, isDevice } from "../storage/locate.ts";
import { type Conversion, createOverlay } from "../storage/qemu-img.ts";
import { IMAGE_TIMEOUT_MS, type NewVolume, readVolume, volumeXml } from "../storage/volume.ts";
import { shrinkVolume } from "../storage/volume-model.ts";
import { xml } from "../xml.ts";
import { descend, type Span, type XmlDocument } from "../xml-document.ts";
import { assertCreatable, makeFile } from "./new-file.ts";
import type { Plan } from "./plan.ts";

const copyLimits = new Map<string, LimitFunction>();

/** Bounds the copies at once on a hypervisor, whoever asked for them. */
function copyLimit(host: string): LimitFunction {
  const limit = copyLimits.get(host) ?? pLimit(settings().clone.copies);
  copyLimits.set(host, limit);
  return limit;
}

/** Throws, before anything is made, if a disk can be copied neither by the login user nor by libvirtd. */
export async function assertPossible(
  ctx: Context,
  plans: Plan[],
  { linked, paused }: { linked: boolean; paused: boolean },
) {
  for (const { pool, from, path, target } of plans) {
    if (!pool) await assertCreatable(ctx, path);
    const isRead = !linked || !pool;
    if (!isRead || (await mayRead(ctx, from.path, from.format))) continue;
    const { volume } = from;
    if (!volume || !byLibvirt(from, pool, paused))
      throw needsRoot(ctx, `disk ${target}: a copy reads ${from.path}`);
    if (from.format !== "raw") {
      await assertCopyable(ctx, await readVolume(ctx, volume.pool, volume.name));
    }
  }
}

/** libvirtd copies volumes of domains that are off, if it sees them as the guest does. */
const byLibvirt = (from: DiskImage, pool: string | undefined, paused: boolean) =>
  pool !== undefined && !paused && from.isSeenAlike;

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
  if (!pool) {
    const write = async () => {
      const result = await createOverlay(ctx.exec, path, from);
      if (result.exitCode !== 0) throw programError("qemu-img create", result);
    };
    return makeFile(ctx, journal, path, from.path, write);
  }
  const backing = { path: from.path, format: from.format };
  await createVolume(ctx, journal, pool, { name, capacity: from.size, format: "qcow2", backing });
  if (from.size % 1024 > 0) await shrinkVolume(ctx, { pool, name }, from.size);
}

/** Copies with qemu-img where possible: libvirtd's own copy cannot be cancelled, and needs a domain that is off. */
async function makeCopy(ctx: Context, journal: Journal, plan: Plan, paused: boolean) {
  throwIfCancelled(ctx);
  const { pool, name, from, path, format } = plan;
  const source = { source: from.path, sourceFormat: from.format, shared: paused };
  const limits = { timeout: IMAGE_TIMEOUT_MS, signal: ctx.signal };
  const convert = async (into: Pick<Conversion, "target" | "targetFormat" | "existing">) => {
    const result = await convertDisk(ctx, { ...source, ...into }, limits);
    if (result.exitCode !== 0) throw programError("qemu-img convert", result);
  };
  if (!pool) {
    const write = () => convert({ target: path, targetFormat: format });
    return makeFile(ctx, journal, path, from.path, write);
  }
  const volume = { name, capacity: from.size, format };
  if (from.volume && !(await mayRead(ctx, from.path, from.format)))
    return copyVolume(ctx, journal, pool, volume, from.volume);
  await createVolume(ctx, journal, pool, volume);
  const made = { pool, ...volume, path, type: isDevice(path) ? "block" : "file" };
  await fillVolume(ctx, journal, made, from.size, convert);
}

/** Has libvirtd copy a volume that the login user may not read, with everything below it. */
async function copyVolume(
  ctx: Context,
  journal: Journal,
  pool: string,
  volume: NewVolume,
  from: { pool: string; name: string },
) {
  const source = ["--vol", from.name, "--inputpool", from.pool];
  const create = ["vol-create-from", "--pool", pool, "--file", volumeXml(volume), ...source];
  await journal.track({ kind: "volume", pool, name: volume.name }, () =>
    ctx.virsh.oneShot(create, { timeout: IMAGE_TIMEOUT_MS }),
  );
}

/** Creates a new volume; libvirt refuses a name that is taken. */
function createVolume(ctx: Context, journal: Journal, pool: string, volume: NewVolume) {
  const create = ["vol-create", "--pool", pool, "--file", volumeXml(volume)];
  return journal.track({ kind: "volume", pool, name: volume.name }, () => ctx.virsh(create));
}

/** Points a disk of the clone's definition to its copy. */
export function retargetDisk(doc: XmlDocument, plan: Plan) {
  const { span, from, pool, name, path, format } = plan;
  const [source] = descend([span], ["source"]);
  const [driver] = descend([span], ["driver"]);
  if (source?.attributes.volume && pool) {
    doc.setAttribute(source, "pool", pool);
    doc.setAttribute(source, "volume", name);
  } else if (source) pointToPath(doc, span, source, path);
  if (driver && format !== from.format) doc.setAttribute(driver, "type", format);
  for (const chain of descend([span], ["backingStore"])) doc.remove(chain); // libvirt detects the chain anew
  if (plan.linked && from.format === "raw" && !from.isSeenAlike) nameBase(doc, span, from);
}

/** libvirt would take a raw base for encrypted if its guest has encrypted it, so that it is told what it is. */
function nameBase(doc: XmlDocument, disk: Span, { path }: DiskImage) {
  const [key, type] = isDevice(path) ? ["dev", "block"] : ["file", "file"];
  const base = xml`<backingStore type="${type}"><format type="raw"/><source ${key}="${path}"/><backingStore/></backingStore>`;
  for (const above of descend([disk], ["source"])) doc.after(above, `${base}`);
}

/** Points a disk to a file or a device. What else the source says stays, but for what only a LUN may have. */
export function pointToPath(doc: XmlDocument, disk: Span, source: Span, path: string) {
  const [key, other] = isDevice(path) ? ["dev", "file"] : ["file", "dev"];
  doc.setAttribute(disk, "type", key === "dev" ? "block" : "file");
  doc.setAttribute(source, key, path);
  for (const name of [other, "pool", "volume", "mode"]) doc.setAttribute(source, name, undefined);
  if (key === "dev") return;
  for (const lun of descend([source], ["reservations"])) doc.remove(lun);
  if (disk.attributes.device !== "lun") return;
  doc.setAttribute(disk, "device", "disk");
  for (const name of ["rawio", "sgio"]) doc.setAttribute(disk, name, undefined);
}
