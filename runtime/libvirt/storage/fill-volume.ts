/** Fills a volume that libvirt has just made with an image: in place, or through libvirtd where that needs root. */
import { randomUUID } from "node:crypto";
import type { Context } from "../../hypervisor/context.ts";
import type { Journal } from "../journal.ts";
import { runProgram } from "../program.ts";
import { removeResource } from "../resource.ts";
import { mayWrite } from "./image-access.ts";
import { type Conversion, intoVolume } from "./qemu-img.ts";
import { IMAGE_TIMEOUT_MS, type Volume } from "./volume.ts";

type Target = Pick<Conversion, "target" | "targetFormat" | "existing">;
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
  convert: (into: Target) => Promise<unknown>,
) {
  const into = intoVolume(volume, size);
  if (await mayWrite(ctx, volume.path)) {
    await convert(into);
    return;
  }
  const folder = { kind: "folder" as const, path: `/var/tmp/hypersdk-${randomUUID()}` };
  await journal.track(folder, () => runProgram(ctx, ["mkdir", "-m", "700", "--", folder.path]));
  const file = `${folder.path}/image`;
  await convert({ target: file, targetFormat: into.targetFormat });
  await uploadVolume(ctx, volume, file);
  await removeResource(ctx, folder);
}

const sparse = (type: string) => (type === "file" ? ["--sparse"] : []);

/** Has libvirtd write a file of the login user's, byte for byte, to a volume. */
const uploadVolume = ({ virsh, signal }: Context, { pool, name, type }: New, file: string) =>
  virsh.oneShot(["vol-upload", "--pool", pool, "--vol", name, "--file", file, ...sparse(type)], {
    timeout: IMAGE_TIMEOUT_MS,
    signal,
  });

/** Has libvirtd write a volume, byte for byte, to a file of the login user's. */
export const downloadVolume = (
  { virsh, signal }: Context,
  { pool, name, type }: Pick<Volume, "pool" | "name" | "type">,
  file: string,
) =>
  virsh.oneShot(["vol-download", "--pool", pool, "--vol", name, "--file", file, ...sparse(type)], {
    timeout: IMAGE_TIMEOUT_MS,
    signal,
  });
