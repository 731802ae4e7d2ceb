/** GET, PUT /libvirt/volume/content?pool=&volume=: stream a volume's bytes out, or the bytes of an image into a new one. */
import * as z from "zod";
import { onlyOf } from "#runtime/core/method.ts";
import { inParts, unwatched } from "#runtime/core/progress.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { Sha256 } from "#runtime/libvirt/digests.ts";
import { PoolName } from "#runtime/libvirt/names.ts";
import { withRollback } from "#runtime/libvirt/rollback.ts";
import { Capacity } from "#runtime/libvirt/size.ts";
import { inspectFile, SourceFormat } from "#runtime/libvirt/storage/import-image.ts";
import { smallDiskHint } from "#runtime/libvirt/storage/import-plausible.ts";
import { adoptImage, ownFormat } from "#runtime/libvirt/storage/import-volume.ts";
import { receiveBytes } from "#runtime/libvirt/storage/receive.ts";
import { stagingFor } from "#runtime/libvirt/storage/staging.ts";
import { checkNewName, Format, KnownVolume, Volume } from "#runtime/libvirt/storage/volume.ts";
import { volumeBytes } from "#runtime/libvirt/storage/volume-bytes.ts";

const OF_A_PUT = onlyOf("PUT");

export default defineFunction({
  method: ["GET", "PUT"],
  access: "admin",
  summary: "Read a volume's bytes, or make a volume of bytes",
  body: "stream",
  stream: "bytes",
  status: 201,
  input: z.strictObject({
    pool: PoolName,
    volume: KnownVolume.describe("name of the volume; a new one for PUT"),
    format: Format.optional()
      .describe("of the new volume: what the bytes are, unless given")
      .meta(OF_A_PUT),
    source_format: SourceFormat.optional()
      .describe("the format that the bytes must have; raw also takes what looks like an archive")
      .meta(OF_A_PUT),
    capacity: Capacity.optional()
      .describe("of the new volume, if it is to be larger: GiB, or with a unit such as 512MiB")
      .meta(OF_A_PUT),
    sha256: Sha256.optional().meta(OF_A_PUT),
  }),
  output: Volume.extend({ source_format: z.string() }),
  message({ name, pool, source_format, format, type, capacity_bytes }) {
    const kind = type === "file" ? format : "raw"; // of a device libvirt knows none
    const converted = kind === source_format ? "" : `, converted to ${kind}`;
    const hint = smallDiskHint(source_format, capacity_bytes);
    return `Volume ${name} in pool ${pool} made from ${source_format}${converted}${hint}`;
  },
  examples: [{ pool: "default", volume: "debian-12" }],

  async run({ pool, volume, format, source_format, capacity, sha256 }, ctx) {
    const { body } = ctx;
    if (!body) return volumeBytes(ctx, pool, volume);
    checkNewName(volume, "volume");
    const staging = await stagingFor(ctx, pool, volume);
    return withRollback(ctx, `upload of bytes as volume ${volume}`, async (journal) => {
      const [receiving = unwatched, filling = unwatched] = inParts(ctx.progress, [9, 1]);
      const wanted = { ...staging, sha256, progress: receiving };
      const path = await receiveBytes(ctx, journal, body, wanted);
      const image = await inspectFile(ctx, path, "body: the image", source_format);
      const made = await adoptImage(
        ctx,
        journal,
        image,
        { pool, name: volume, format: format ?? ownFormat(image), capacity },
        filling,
      );
      return { ...made, source_format: image.format };
    });
  },
});
