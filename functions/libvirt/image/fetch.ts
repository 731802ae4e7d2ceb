/** POST /libvirt/image/fetch: download an image into a new volume, checked and unpacked. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { Sha256, Sha512 } from "#runtime/libvirt/digests.ts";
import { fetchImage } from "#runtime/libvirt/download/fetch-image.ts";
import { ImageUrl } from "#runtime/libvirt/download/url.ts";
import { PoolName } from "#runtime/libvirt/names.ts";
import { withRollback } from "#runtime/libvirt/rollback.ts";
import { Capacity } from "#runtime/libvirt/size.ts";
import { SourceFormat } from "#runtime/libvirt/storage/import-image.ts";
import { smallDiskHint } from "#runtime/libvirt/storage/import-plausible.ts";
import { Format, Volume, VolumeName } from "#runtime/libvirt/storage/volume.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Download an image as a volume",
  job: { repeat: true },
  status: 201,
  input: z.strictObject({
    url: ImageUrl,
    pool: PoolName.default("default"),
    name: VolumeName,
    sha256: Sha256.optional(),
    sha512: Sha512.optional(),
    format: Format.optional().describe("of the new volume: what the image is, unless given"),
    source_format: SourceFormat.optional().describe(
      "the format that the image must have; raw also takes what looks like no disk",
    ),
    capacity: Capacity.optional().describe(
      "of the new volume, if it is to be larger: GiB, or with a unit such as 512MiB",
    ),
  }),
  output: Volume.extend({
    source_format: z.string(),
    compression: z.string().nullable().describe("xz, gzip, zstd, bzip2, or none"),
    sha256: z.string().describe("of the bytes that were downloaded"),
  }),
  message: ({ name, pool, sha256, source_format, capacity_bytes }) =>
    `Volume ${name} in pool ${pool} downloaded; its SHA-256 is ${sha256}${smallDiskHint(source_format, capacity_bytes)}`,
  examples: [
    {
      url: "https://cloud.debian.org/images/cloud/bookworm/latest/debian-12-genericcloud-amd64.qcow2",
      name: "debian-12.qcow2",
    },
  ],

  async run({ url, sha256, sha512, source_format: sourceFormat, ...wanted }, ctx) {
    const operation = `download of an image as volume ${wanted.name}`;
    return withRollback(ctx, operation, (journal) =>
      fetchImage(ctx, journal, { url, sha256, sha512 }, { ...wanted, sourceFormat }, ctx.progress),
    );
  },
});
