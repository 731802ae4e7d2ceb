/** ISO images: volumes that are CD-ROMs, and how bytes are known to be one. */
import * as z from "zod";
import type { Context } from "../../hypervisor/context.ts";
import { runProgram } from "../program.ts";
import { onImage, refusedImage, type SourceImage } from "./import-file.ts";
import { type Volume, VolumeName } from "./volume.ts";

/** The name of a new one; libvirt and people know it by the ending. */
export const IsoName = VolumeName.regex(/\.iso$/i, "must end with .iso").describe(
  "name of the new volume, which ends with .iso",
);

export const Iso = z.object({
  pool: z.string(),
  name: z.string().meta({ "x-libvirt": "volume" }),
  path: z.string(),
  size_bytes: z.number(),
});

/** Whether a volume is one: libvirt detects the file system, but for that of Windows' newer discs. */
export const isIso = ({ name, format, type }: Volume) =>
  /^(file|block)$/.test(type) && (format === "iso" || /\.iso$/i.test(name));

export const asIso = ({ pool, name, path, capacity_bytes }: Volume): z.output<typeof Iso> => ({
  ...{ pool, name, path, size_bytes: capacity_bytes },
});

/** The first descriptor of the file system, at 32 KiB: that of ISO 9660, or that of UDF. */
const DESCRIPTOR = /^.(CD001|BEA01)/s;

/** Throws `invalid_input` for an image that is no CD-ROM's. */
export async function assertIso(ctx: Context, image: SourceImage) {
  const argv = ["sh", "-c", "tail -c +32769 <&3 | head -c 6"];
  const { stdout } = await runProgram({ exec: onImage(ctx, image) }, argv, {}, "reading the image");
  if (DESCRIPTOR.test(stdout)) return;
  throw refusedImage(image.label, "is no ISO: it has no file system of a CD-ROM");
}
