/** Fills a volume that libvirt has just made with an image: in place, or through libvirtd where that needs root. */
import { randomUUID } from "node:crypto";
import { inParts, type Progress, unwatched } from "../../core/progress.ts";
import type { Context } from "../../hypervisor/context.ts";
import type { Journal } from "../journal.ts";
import { runProgram } from "../program.ts";
import { removeResource } from "../resource.ts";
import { watched } from "../watch.ts";
import { allocatedBytes, filled, whileFilling } from "./allocation.ts";
import { mayWrite } from "./image-access.ts";
import { type Conversion, intoVolume } from "./qemu-img.ts";
import { IMAGE_TIMEOUT_MS, type Volume } from "./volume.ts";

export type Target = Pick<Conversion, "target" | "targetFormat" | "existing">;
type New = Pick<Volume, "pool" | "name" | "path" | "type" | "format">;

/**
 * Has `convert` write an image of this size into the volume; it throws if that fails. Where the login user may not
 * write to the volume, the image is made in a folder of theirs, and libvirtd takes it from there.
 */
export async function fillVolume(
  ctx: Context,
  journal: Pick<Journal, "track">,
  volume: New,
  size: number,
  convert: (into: Target, progress: Progress) => Promise<unknown>,
  progress: Progress,
) {
  const into = intoVolume(volume, size);
  if (await mayWrite(ctx, volume.path)) {
    await convert(into, progress);
    return;
  }
  const [converting = unwatched, uploading = unwatched] = inParts(progress, [1, 1]); // the same bytes twice
  const folder = { kind: "folder" as const, path: `/var/tmp/hypersdk-${randomUUID()}` };
  await journal.track(folder, () => runProgram(ctx, ["mkdir", "-m", "700", "--", folder.path]));
  const file = `${folder.path}/image`;
  await convert({ target: file, targetFormat: into.targetFormat }, converting);
  ctx.log.info(`libvirtd takes the image from ${file} into volume ${volume.name}.`);
  await uploadVolume(ctx, volume, file, uploading);
  await removeResource(ctx, folder);
}

const sparse = (type: string) => (type === "file" ? ["--sparse"] : []);

/** Has libvirtd write a file of the login user's, byte for byte, to a volume. */
export async function uploadVolume(ctx: Context, volume: New, file: string, progress: Progress) {
  const { pool, name, type } = volume;
  const limits = { timeout: IMAGE_TIMEOUT_MS, signal: ctx.signal };
  const upload = ["vol-upload", "--pool", pool, "--vol", name, "--file", file, ...sparse(type)];
  const filling = { phase: "uploading", total: await allocatedBytes(ctx, [file]), progress };
  await whileFilling(ctx, volume, filling, () => ctx.virsh.oneShot(upload, limits));
}

/** Has libvirtd write a volume, byte for byte, to a file of the login user's. */
export async function downloadVolume(
  ctx: Context,
  { pool, name, type, allocation_bytes }: Omit<New, "path" | "format"> & Partial<Volume>,
  file: string,
  progress: Progress,
) {
  const phase = "downloading";
  const limits = { timeout: IMAGE_TIMEOUT_MS, signal: ctx.signal };
  const download = ["vol-download", "--pool", pool, "--vol", name, "--file", file, ...sparse(type)];
  const look = async () => {
    const bytes = await allocatedBytes(ctx, [file]);
    return bytes === undefined ? undefined : filled(phase, bytes, allocation_bytes);
  };
  await watched({ log: ctx.log, progress }, look, () => ctx.virsh.oneShot(download, limits));
}
