/** POST /libvirt/volume/upload: import an image file of the hypervisor as a new volume, converted. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { PoolName } from "#runtime/libvirt/names.ts";
import { withRollback } from "#runtime/libvirt/rollback.ts";
import { inspectImage, Path, SourceFormat } from "#runtime/libvirt/storage/import-image.ts";
import { smallDiskHint } from "#runtime/libvirt/storage/import-plausible.ts";
import { importVolume } from "#runtime/libvirt/storage/import-volume.ts";
import { Format, Volume, VolumeName } from "#runtime/libvirt/storage/volume.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Import an image file as a volume",
  job: { repeat: true },
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
  message: ({ name, pool, source_format, format, type, capacity_bytes }) => {
    const kind = type === "file" ? format : "raw"; // of a device libvirt knows none
    const converted = kind === source_format ? "" : `, converted to ${kind}`;
    const hint = smallDiskHint(source_format, capacity_bytes);
    return `Volume ${name} in pool ${pool} made from ${source_format}${converted}${hint}`;
  },
  examples: [
    { pool: "default", volume: "imported-vm", source_path: "/data/vm-disk.vmdk", format: "qcow2" },
  ],

  async run({ pool, volume, source_path, format, source_format }, ctx) {
    const image = await inspectImage(ctx, source_path, source_format);
    return withRollback(ctx, `import of ${source_path} as volume ${volume}`, async (journal) => {
      const made = await importVolume(ctx, journal, image, { pool, name: volume, format });
      return { ...made, source_format: image.format };
    });
  },
});
