/**
 * Whether an image's file is whole. QEMU reads zeros beyond the end of one that was cut off, without a word, so
 * its metadata must not refer to anything there.
 */
import type { Context } from "../../hypervisor/context.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import { FILE_CHANGED, IMAGE_FD, onImage, refusedImage, type SourceImage } from "./import-file.ts";
import {
  holdsCluster,
  METADATA_TIMEOUT_MS,
  readQcow2Ends,
  readQcow2Header,
} from "./import-qcow2.ts";
import { checkImage, readVmdkEnd } from "./qemu-img.ts";

/** Exit codes of qemu-img check: whole, leaked clusters (harmless), a format that has no check. */
const ACCEPTED_CHECKS = [0, 3, 63];

/** Throws `invalid_input` for an image that is damaged or cut off; `size` is its file's, in bytes. */
export async function assertWhole(ctx: Context, image: SourceImage, size: number) {
  const { format, label } = image;
  if (format === "raw") return;
  // both count in sectors, and QEMU takes a part of one for a whole one
  if ((format === "vmdk" || format === "vhdx") && size % 512 > 0)
    throw refusedImage(label, "is truncated");
  const exec = onImage(ctx, image);
  const check = await checkImage(exec, IMAGE_FD, format, METADATA_TIMEOUT_MS);
  if (check.exitCode === FILE_CHANGED) throw programError("qemu-img check", check);
  if (!ACCEPTED_CHECKS.includes(check.exitCode))
    throw refusedImage(label, `is damaged or truncated: ${check.stderr.split("\n")[0]}`);
  if (format === "vmdk" && (await readVmdkEnd(exec, IMAGE_FD, METADATA_TIMEOUT_MS)) > size)
    throw refusedImage(label, "is truncated");
  if (format !== "qcow2") return;
  const clusterEnd = JSON.parse(check.stdout)["image-end-offset"] ?? 0;
  // the last cluster may be there in part, as far as it is used
  if (clusterEnd > size && (await qcow2IsCut(ctx, image, size)))
    throw refusedImage(label, "is truncated");
}

/** Whether data of a qcow2, or its tables, lie beyond the end of the file. */
async function qcow2IsCut(ctx: Context, image: SourceImage, size: number) {
  const header = readQcow2Header(image.head);
  const ends = await readQcow2Ends(ctx, image, header);
  if (!ends) {
    const why = "ends within a cluster, and is too large to see what is missing";
    throw refusedImage(image.label, `${why}; qemu-img convert makes a whole copy`);
  }
  const { end, compressed } = ends;
  if (end > size || compressed.end <= size) return end > size;
  // only the data tells how much of its last sector a compressed cluster needs
  if (compressed.end - size >= 512) return true;
  return !(await holdsCluster(ctx, image, header, { offset: compressed.at, fileSize: size }));
}
