/** A new volume of an image that was inspected: converted, or byte for byte as it is. */
import { posix } from "node:path";
import { HyperError } from "../../core/errors.ts";
import { inParts, type Progress, unwatched } from "../../core/progress.ts";
import type { Context } from "../../hypervisor/context.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import type { Journal } from "../journal.ts";
import { removeResource } from "../resource.ts";
import { allocatedBytes } from "./allocation.ts";
import { inCopyPlace } from "./copy-place.ts";
import { fillVolume, type Target, uploadVolume } from "./fill-volume.ts";
import { assertFits } from "./fits.ts";
import { IMAGE_FD, imageNode, onImage, type SourceImage } from "./import-file.ts";
import { conversionError } from "./import-image.ts";
import { assertSeenAsRaw, refuseSeen } from "./import-raw.ts";
import { convertImage } from "./qemu-img.ts";
import { type Format, IMAGE_TIMEOUT_MS, readVolume, type Volume, volumeXml } from "./volume.ts";

export interface NewVolume {
  pool: string;
  name: string;
  format: Format;
  /** In bytes, if it is to be larger than the image. */
  capacity?: number | undefined;
}

type Noting = Pick<Journal, "track">;

/** Makes a volume by converting the image, which stays. It waits for a place for copies first. */
export function importVolume(
  ctx: Context,
  journal: Noting,
  image: SourceImage,
  wanted: NewVolume,
  told: Progress = ctx.progress,
): Promise<Volume> {
  told({ phase: "waiting to convert", percent: 0 });
  return inCopyPlace(ctx, async () => {
    await assertFits(ctx, image, wanted.pool);
    const target = await createVolume(ctx, journal, image, wanted);
    await convertInto(ctx, journal, image, target, told);
    return readVolume(ctx, wanted.pool, wanted.name);
  });
}

async function convertInto(
  ctx: Context,
  journal: Noting,
  image: SourceImage,
  target: Volume,
  told: Progress,
) {
  const { label, virtualSize } = image;
  const format = target.type === "file" ? target.format : "raw";
  const phase = `converting ${image.format} to ${format}`;
  ctx.log.info(`${image.path}, ${image.format}, is converted to ${target.path}, ${format}.`);
  const data = await allocatedBytes(ctx, [image.path]);
  const [progress = unwatched] = inParts(told, [data ?? 0], "bytes");
  const convert = async (into: Target, converting: Progress) => {
    const conversion = { source: imageNode(image), reads: [IMAGE_FD], ...into };
    const onPercent = (percent: number) => converting({ phase, percent });
    const limits = { timeout: IMAGE_TIMEOUT_MS, signal: ctx.signal, onPercent };
    const result = await convertImage(onImage(ctx, image), conversion, limits);
    if (result.exitCode !== 0) throw conversionError(label, result);
    if (into.targetFormat === "raw" && target.type === "file")
      await assertSeenAsRaw(ctx, into.target, label);
  };
  await fillVolume(ctx, journal, target, virtualSize, convert, progress);
}

function createVolume(ctx: Context, journal: Noting, image: SourceImage, wanted: NewVolume) {
  const { pool, name, format, capacity = image.virtualSize } = wanted; // a device could not grow later
  const file = ["--file", volumeXml({ name, capacity, format })];
  return journal
    .track({ kind: "volume", pool, name }, () => ctx.virsh(["vol-create", "--pool", pool, ...file]))
    .then(() => readVolume(ctx, pool, name));
}

/** Formats that a volume may have byte for byte; the others come in kinds that a guest could not write to. */
const KEPT: string[] = ["raw", "qcow2"];

/** The format that a volume of an image has unless another is asked for; libvirt knows no VHDX. */
export const ownFormat = ({ format }: SourceImage): Format =>
  format === "vhdx" ? "qcow2" : (format as Format);

/**
 * Makes a volume of an image that is the only file in a folder of ours, which goes with it: its own bytes where the format
 * may be kept, so that a checksum of the one is that of the other.
 */
export async function adoptImage(
  ctx: Context,
  journal: Noting,
  image: SourceImage,
  wanted: NewVolume,
  progress: Progress,
): Promise<Volume> {
  const { pool, name, format, capacity = image.virtualSize } = wanted;
  checkCapacity(image, wanted);
  let isMoved = false;
  if (format === image.format && KEPT.includes(format)) {
    if (format === "raw") refuseSeen(image.head.toString("hex"), image.label);
    const target = await createVolume(ctx, journal, image, wanted);
    isMoved = target.type === "file" && (await moveInto(ctx, image.path, target.path));
    if (target.type === "block" && format !== "raw")
      await inCopyPlace(ctx, () => convertInto(ctx, journal, image, target, progress)); // libvirt takes a device for raw
    else if (isMoved)
      await ctx.virsh.settled([["pool-refresh", "--pool", pool]]); // a pool at work refuses it; its next one tells all
    else await uploadVolume(ctx, target, image.path, progress);
  } else await importVolume(ctx, journal, image, wanted, progress);
  if (!isMoved) await removeResource(ctx, { kind: "folder", path: posix.dirname(image.path) });
  let made = await readVolume(ctx, pool, name);
  if (capacity > image.virtualSize && made.capacity_bytes < capacity) {
    const size = ["--capacity", `${capacity}B`];
    await ctx.virsh(["vol-resize", "--pool", pool, "--vol", name, ...size]);
    made = await readVolume(ctx, pool, name);
  }
  const seen = made.format === "iso" ? "raw" : made.format; // a CD-ROM's file system is on a raw disk
  const isFile = made.type === "file";
  const size = Math.ceil(made.capacity_bytes / SECTOR) * SECTOR;
  if (made.backing || (isFile && seen !== format) || size < capacity) {
    const text = `volume ${name}: libvirt sees ${made.format} of ${made.capacity_bytes} bytes in it, not ${format} of ${capacity}`;
    throw new HyperError("command_failed", text);
  }
  return made;
}

/** QEMU counts the size of an image in these, libvirt that of a raw file in bytes. */
const SECTOR = 512;

/** Throws before anything is made. */
function checkCapacity(
  { virtualSize }: SourceImage,
  { format, capacity = virtualSize }: NewVolume,
) {
  if (capacity < virtualSize) {
    const text = `capacity: ${capacity} bytes are less than the image's ${virtualSize}`;
    throw new HyperError("invalid_input", text);
  }
  if (capacity === virtualSize || KEPT.includes(format)) return;
  throw new HyperError("invalid_input", "capacity: only a raw or qcow2 volume can be larger");
}

/** Puts the image in the place of the file that libvirt has made, with its owner and mode, and removes its folder. */
const MOVE = `[ -w "$2" ] || exit 99
chown -- "$(stat -c %u:%g -- "$2")" "$1" && chmod -- "$(stat -c %a -- "$2")" "$1" &&
  mv -f -- "$1" "$2" && rmdir -- "\${1%/*}"`;
const MAY_NOT = 99;

/** Resolves to false where the login user may not write to the place. */
export async function moveInto(ctx: Context, path: string, place: string): Promise<boolean> {
  ctx.log.info(`${path} becomes ${place}.`);
  const limits = { timeout: IMAGE_TIMEOUT_MS, signal: ctx.signal };
  const result = await ctx.exec(["sh", "-c", MOVE, "sh", path, place], limits);
  if (result.exitCode === MAY_NOT) return false;
  if (result.exitCode !== 0) throw programError("mv", result);
  return true;
}
