/** PUT /libvirt/isos/content?pool=&name=: stream an ISO image into a pool. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { inParts, unwatched } from "#runtime/core/progress.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { Sha256 } from "#runtime/libvirt/digests.ts";
import { PoolName } from "#runtime/libvirt/names.ts";
import { withRollback } from "#runtime/libvirt/rollback.ts";
import { inspectFile } from "#runtime/libvirt/storage/import-image.ts";
import { adoptImage } from "#runtime/libvirt/storage/import-volume.ts";
import { asIso, assertIso, Iso, IsoName } from "#runtime/libvirt/storage/iso.ts";
import { receiveBytes } from "#runtime/libvirt/storage/receive.ts";
import { stagingFor } from "#runtime/libvirt/storage/staging.ts";

export default defineFunction({
  method: "PUT",
  access: "admin",
  summary: "Upload an ISO image into a pool",
  body: "stream",
  status: 201,
  input: z.strictObject({
    name: IsoName,
    pool: PoolName.default("default"),
    sha256: Sha256.optional(),
  }),
  output: Iso,
  message: ({ name, pool }) => `ISO image ${name} in pool ${pool} made`,
  examples: [{ name: "debian-12.iso" }],

  async run({ name, pool, sha256 }, ctx) {
    const { body } = ctx;
    if (!body) throw new HyperError("invalid_input", "body: the bytes of the image are missing");
    const staging = await stagingFor(ctx, pool, name, "name");
    return withRollback(ctx, `upload of bytes as volume ${name}`, async (journal) => {
      const [progress = unwatched, filling = unwatched] = inParts(ctx.progress, [9, 1]);
      const path = await receiveBytes(ctx, journal, body, { ...staging, sha256, progress });
      const image = await inspectFile(ctx, path, "body: the image", "raw");
      await assertIso(ctx, image);
      return asIso(await adoptImage(ctx, journal, image, { pool, name, format: "raw" }, filling));
    });
  },
});
