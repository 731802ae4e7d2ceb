/** POST /libvirt/volume/create: make an empty volume, sparse unless `prealloc`. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { PoolName } from "#runtime/libvirt/names.ts";
import { withRollback } from "#runtime/libvirt/rollback.ts";
import { Capacity } from "#runtime/libvirt/size.ts";
import { whileFilling } from "#runtime/libvirt/storage/allocation.ts";
import {
  Format,
  IMAGE_TIMEOUT_MS,
  readVolume,
  Volume,
  VolumeName,
  volumeXml,
} from "#runtime/libvirt/storage/volume.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Create a volume",
  job: { repeat: true },
  status: 201,
  input: z
    .strictObject({
      pool: PoolName,
      name: VolumeName,
      format: Format.default("qcow2"),
      capacity: Capacity,
      prealloc: z.boolean().default(false).describe("the metadata of a qcow2, all of a raw volume"),
    })
    .refine(({ format, prealloc }) => !prealloc || format === "qcow2" || format === "raw", {
      path: ["prealloc"],
      error: "only for the formats qcow2 and raw",
    }),
  output: Volume,
  message: ({ name, pool }) => `Volume ${name} created in pool ${pool}`,
  examples: [
    { pool: "default", name: "data-disk", format: "qcow2", capacity: 50, prealloc: false },
  ],

  async run({ pool, name, format, capacity, prealloc }, ctx) {
    const allocation = prealloc && format === "raw" ? capacity : 0;
    const metadata = prealloc && format === "qcow2" ? ["--prealloc-metadata"] : [];
    const file = ["--file", volumeXml({ name, capacity, allocation, format })];
    const create = ["vol-create", "--pool", pool, ...file, ...metadata];
    // preallocation writes the whole volume, so it gets a process and a timeout of its own
    if (!prealloc) {
      await ctx.virsh(create);
      return readVolume(ctx, pool, name);
    }
    return withRollback(ctx, `creation of volume ${name}`, async (journal) => {
      const total = allocation > 0 ? allocation : undefined;
      const filling = { phase: "allocating", total, progress: ctx.progress };
      ctx.log.info(`libvirtd makes volume ${name} of pool ${pool} and allocates it.`);
      await journal.track({ kind: "volume", pool, name }, () =>
        whileFilling(ctx, { pool, name }, filling, () =>
          ctx.virsh.oneShot(create, { timeout: IMAGE_TIMEOUT_MS }),
        ),
      );
      return readVolume(ctx, pool, name);
    });
  },
});
