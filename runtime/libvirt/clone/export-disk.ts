/** The disks of an export: which are written, and how each becomes a file that stands on its own. */
import { randomBytes } from "node:crypto";
import { HyperError } from "../../core/errors.ts";
import { inParts, type Progress } from "../../core/progress.ts";
import type { Context } from "../../hypervisor/context.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import { type Disk, readDisk } from "../disk.ts";
import type { Journal } from "../journal.ts";
import { runProgram } from "../program.ts";
import { removeResource } from "../resource.ts";
import { whileFilling } from "../storage/allocation.ts";
import { downloadVolume } from "../storage/fill-volume.ts";
import { mayRead, needsRoot } from "../storage/image-access.ts";
import { assertCopyable, convertDisk } from "../storage/isolation-chain.ts";
import { findVolume } from "../storage/locate.ts";
import { dataOf, readImageInfo } from "../storage/qemu-img.ts";
import { IMAGE_TIMEOUT_MS, parseVolume, type Volume } from "../storage/volume.ts";
import { volumeLike } from "../storage/volume-model.ts";
import { parseXml } from "../xml.ts";
import { descend, type Span, type XmlDocument } from "../xml-document.ts";
import { pointToPath } from "./retarget.ts";

export interface ExportedDisk {
  span: Span;
  source: Span;
  /** The image, and its format as the guest sees it. */
  path: string;
  from: string;
  /** Of the file that is written. */
  name: string;
  format: string;
  /** What its file takes, in bytes; undefined for an image that stands on others. */
  data: number | undefined;
  /** libvirtd reads the image, as the login user may not. */
  through?: { volume: Volume; definition: string };
}

/** Finds the disks to write, and refuses those that cannot be; a CD-ROM is only referenced. */
export async function planExport(
  ctx: Context,
  doc: XmlDocument,
  compress: boolean,
): Promise<ExportedDisk[]> {
  const plans: ExportedDisk[] = [];
  for (const span of doc.find("devices", "disk")) {
    const [source] = descend([span], ["source"]);
    if (!source) continue;
    const disk = readDisk(parseXml(doc.text.slice(span.start, span.end), "disk"));
    if (disk.device === "cdrom") {
      // a missing image then leaves the drive empty; libvirt refuses this for one that it reads over the network
      if (disk.path || disk.volume) doc.setAttribute(source, "startupPolicy", "optional");
      continue;
    }
    const { format: from = "raw", target = "disk" } = disk;
    const format = compress ? "qcow2" : from;
    assertConvertible(disk, source, format);
    const path = await pathOf(ctx, disk);
    const read = (await mayRead(ctx, path, from))
      ? { data: await readData(ctx, path, from) }
      : await readThroughLibvirt(ctx, disk, path, from);
    plans.push({
      span,
      source,
      path,
      from,
      name: `${target || "disk"}.${format}`,
      format,
      ...read,
    });
  }
  return plans;
}

/** An encrypted image, and one that is a part of a file, can be copied byte for byte and in no other way. */
function assertConvertible({ encrypted, target, format = "raw" }: Disk, source: Span, to: string) {
  const isSlice = descend([source], ["slices"]).length > 0;
  if (!(encrypted || isSlice) || (format === "raw" && to === "raw")) return;
  const what = encrypted ? "encrypted" : "a part of its file";
  const text = `disk ${target} is ${what}, so it can be exported only if it is raw, and not compressed`;
  throw new HyperError("unsupported", text);
}

async function pathOf(ctx: Context, { path, pool, volume, target }: Disk): Promise<string> {
  if (path) return path;
  if (!pool || !volume) {
    const text = `disk ${target || "disk"} is neither a file, a device nor a volume`;
    throw new HyperError("unsupported", text);
  }
  const found = await ctx.virsh(["vol-path", "--pool", pool, "--vol", volume]);
  return found.replace(/\n+$/, "");
}

async function readThroughLibvirt(ctx: Context, { target }: Disk, path: string, from: string) {
  const found = await findVolume(ctx, path);
  const volume = found && parseVolume(found.pool, found.text);
  if (!found || !volume || (from !== "raw" && volume.format !== from))
    throw needsRoot(ctx, `disk ${target}: an export reads ${path}`);
  if (from !== "raw") await assertCopyable(ctx, volume);
  const data = volume.backing ? undefined : volume.allocation_bytes;
  return { data, through: { volume, definition: found.text } };
}

/** Undefined also for an image that cannot be read: its copy tells why. */
const readData = (ctx: Context, path: string, format: string) =>
  readImageInfo(ctx.exec, path, format).then(dataOf, () => undefined);

/** Writes a disk into the folder. */
export async function writeDisk(
  ctx: Context,
  journal: Journal,
  plan: ExportedDisk,
  folder: string,
  { compress, progress }: { compress: boolean; progress: Progress },
) {
  const { path, from, format, through, name } = plan;
  const file = `${folder}/${name}`;
  ctx.log.info(`${path} is written to ${file}${compress ? ", compressed" : ""}.`);
  if (through && !compress) return download(ctx, journal, plan, through, file, progress);
  const image = through ? `${folder}/image.part` : path;
  const [first = progress, last = progress] = through ? inParts(progress, [1, 1]) : []; // the same bytes twice
  if (through) await download(ctx, journal, plan, through, image, first);
  const files = { source: image, sourceFormat: from, target: file, targetFormat: format };
  const onPercent = (percent: number) => last({ phase: "writing", percent });
  const limits = { timeout: IMAGE_TIMEOUT_MS, signal: ctx.signal, onPercent };
  const result = await convertDisk(ctx, { ...files, compress }, limits);
  if (result.exitCode !== 0) throw programError("qemu-img", result);
  if (through) await runProgram(ctx, ["rm", "--", image]);
}

/** An image that stands on others becomes a volume without them first. */
async function download(
  ctx: Context,
  journal: Journal,
  { from }: ExportedDisk,
  { volume, definition }: NonNullable<ExportedDisk["through"]>,
  file: string,
  progress: Progress,
) {
  const { pool, backing, type } = volume;
  if (from === "raw" || !backing) {
    await downloadVolume(ctx, volume, file, progress);
    return;
  }
  const name = `hypersdk-${randomBytes(8).toString("hex")}`;
  const flat = { kind: "volume" as const, pool, name };
  const source = ["--vol", volume.name, "--inputpool", pool];
  const create = ["vol-create-from", "--pool", pool, "--file", volumeLike(definition, name)];
  const filling = { phase: "flattening", total: undefined, progress };
  ctx.log.info(`libvirtd copies volume ${volume.name}, with all below it, to volume ${name}.`);
  await journal.track(flat, () =>
    whileFilling(ctx, { pool, name, type }, filling, () =>
      ctx.virsh.oneShot([...create, ...source], { timeout: IMAGE_TIMEOUT_MS }),
    ),
  );
  await downloadVolume(ctx, { pool, name, type }, file, progress);
  await removeResource(ctx, flat);
}

/** Points a disk of the exported definition to its file. */
export function retargetExport(doc: XmlDocument, plan: ExportedDisk, folder: string) {
  const { span, source, name, format } = plan;
  pointToPath(doc, span, source, `${folder}/${name}`);
  for (const driver of descend([span], ["driver"])) doc.setAttribute(driver, "type", format);
  for (const chain of descend([span], ["backingStore"])) doc.remove(chain);
}
