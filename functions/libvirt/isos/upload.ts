/** POST /libvirt/isos/upload: copy an ISO image of the hypervisor into a pool. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { PoolName } from "#runtime/libvirt/names.ts";
import { withRollback } from "#runtime/libvirt/rollback.ts";
import { inspectImage, Path } from "#runtime/libvirt/storage/import-image.ts";
import { importVolume } from "#runtime/libvirt/storage/import-volume.ts";
import { asIso, assertIso, Iso, IsoName } from "#runtime/libvirt/storage/iso.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Copy an ISO image into a pool",
  job: { repeat: true },
  status: 201,
  input: z.strictObject({
    source_path: Path.describe("an ISO image on the hypervisor, in an allowed folder"),
    name: IsoName,
    pool: PoolName.default("default"),
  }),
  output: Iso,
  message: ({ name, pool }) => `ISO image ${name} in pool ${pool} made`,
  examples: [{ source_path: "/data/debian-12-netinst.iso", name: "debian-12.iso" }],

  async run({ source_path, name, pool }, ctx) {
    const image = await inspectImage(ctx, source_path, "raw");
    await assertIso(ctx, image);
    return withRollback(ctx, `import of ${source_path} as volume ${name}`, async (journal) =>
      asIso(await importVolume(ctx, journal, image, { pool, name, format: "raw" })),
    );
  },
});
