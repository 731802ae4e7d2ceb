/** POST /libvirt/volume/upload: import an image file of the hypervisor as a new volume, converted. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { PoolName } from "#runtime/libvirt/names.ts";
import { withRollback } from "#runtime/libvirt/rollback.ts";
import { fillVolume } from "#runtime/libvirt/storage/fill-volume.ts";
import { IMAGE_FD, imageNode, onImage } from "#runtime/libvirt/storage/import-file.ts";
import {
  conversionError,
  inspectImage,
  Path,
  SourceFormat,
} from "#runtime/libvirt/storage/import-image.ts";
import { assertSeenAsRaw } from "#runtime/libvirt/storage/import-raw.ts";
import { convertImage } from "#runtime/libvirt/storage/qemu-img.ts";
import {
  Format,
  IMAGE_TIMEOUT_MS,
  readVolume,
  Volume,
  VolumeName,
  volumeXml,
} from "#runtime/libvirt/storage/volume.ts";

/** A smaller raw file is hardly a disk, for qemu-img calls raw whatever it does not know. */
const SMALLEST_DISK_BYTES = 2 ** 20;

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Import an image file as a volume",
  status: 201,
  input: z.strictObject({
    pool: PoolName,
    volume: VolumeName,
    source_path: Path.describe(
      "a VMDK, raw, qcow2, VDI, VHDX or VHD file on the hypervisor, in an allowed folder",
    ),
    format: Format.default("qcow2").describe("the format of the volume"),
    source_format: SourceFormat.optional().describe(
      "the format that the file must have; raw also takes a file that looks like an archive",
    ),
  }),
  output: Volume.extend({ source_format: z.string() }),
  message: ({ name, pool, source_format, format, capacity_bytes }) => {
    const converted = format === source_format ? "" : `, converted to ${format}`;
    const small = `; it has only ${capacity_bytes} bytes, so make sure that the source is a disk image`;
    const isSmall = source_format === "raw" && capacity_bytes < SMALLEST_DISK_BYTES;
    return `Volume ${name} in pool ${pool} made from ${source_format}${converted}${isSmall ? small : ""}`;
  },
  examples: [
    { pool: "default", volume: "imported-vm", source_path: "/data/vm-disk.vmdk", format: "qcow2" },
  ],

  async run({ pool, volume, source_path, format, source_format }, ctx) {
    const image = await inspectImage(ctx, source_path, source_format);
    const { virtualSize } = image;
    const file = ["--file", volumeXml({ name: volume, capacity: virtualSize, format })];
    return withRollback(ctx, `import of ${source_path} as volume ${volume}`, async (journal) => {
      await journal.track({ kind: "volume", pool, name: volume }, () =>
        ctx.virsh(["vol-create", "--pool", pool, ...file]),
      );
      const target = await readVolume(ctx, pool, volume);
      await fillVolume(ctx, journal, target, virtualSize, async (into) => {
        const conversion = { source: imageNode(image), reads: [IMAGE_FD], ...into };
        const limits = { timeout: IMAGE_TIMEOUT_MS, signal: ctx.signal };
        const result = await convertImage(onImage(ctx, image), conversion, limits);
        if (result.exitCode !== 0) throw conversionError(source_path, result);
        if (into.targetFormat === "raw" && target.type === "file")
          await assertSeenAsRaw(ctx, into.target, source_path);
      });
      return { ...(await readVolume(ctx, pool, volume)), source_format: image.format };
    });
  },
});
