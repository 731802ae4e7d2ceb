/** GET /libvirt/volumes?pool=: the volumes of a storage pool, of "default" unless told otherwise. */
import * as z from "zod";
import { plural } from "#runtime/core/plural.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { PoolName } from "#runtime/libvirt/names.ts";
import { readPoolVolumes } from "#runtime/libvirt/storage/images.ts";
import { Volume } from "#runtime/libvirt/storage/volume.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "List the volumes of a pool",
  input: z.strictObject({ pool: PoolName.default("default") }),
  output: z.object({
    volumes: z.array(Volume),
    total: z.int(),
    unreadable: z
      .array(z.string())
      .describe("names of further volumes that are not UTF-8, with U+FFFD for each such byte"),
  }),
  message: ({ total }, { pool }) => `${plural(total, "volume")} in pool ${pool}`,
  examples: [{ pool: "default" }],

  async run({ pool }, ctx) {
    const { volumes, unreadable } = await readPoolVolumes(ctx, pool);
    return { volumes, total: volumes.length, unreadable };
  },
});
