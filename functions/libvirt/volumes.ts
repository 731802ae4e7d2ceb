/** GET /libvirt/volumes?pool=: the volumes of a storage pool. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { PoolName } from "#runtime/libvirt/names.ts";
import { readVolumes, Volume } from "#runtime/libvirt/storage/volume.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "List the volumes of a pool",
  input: z.strictObject({ pool: PoolName }),
  output: z.object({
    volumes: z.array(Volume),
    total: z.int(),
    unreadable: z
      .array(z.string())
      .describe("names of further volumes that are no UTF-8, with U+FFFD for each byte of it"),
  }),
  message: ({ total }, { pool }) =>
    `${total} ${total === 1 ? "volume" : "volumes"} in pool ${pool}`,
  examples: [{ pool: "default" }],

  async run({ pool }, ctx) {
    const { volumes, unreadable } = await readVolumes(ctx, pool);
    return { volumes, total: volumes.length, unreadable };
  },
});
