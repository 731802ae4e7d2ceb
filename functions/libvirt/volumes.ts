/** GET /libvirt/volumes?pool=: the volumes of a storage pool. */
import * as z from "zod";
import { defineFunction } from "../../runtime/function.ts";
import { Name } from "../../runtime/schemas.ts";
import { readVolumes, Volume } from "../../runtime/volume.ts";

export default defineFunction({
  method: "GET",
  summary: "List the volumes of a pool",
  input: z.strictObject({ pool: Name }),
  output: z.object({ volumes: z.array(Volume), total: z.int() }),
  message: ({ total }, { pool }) =>
    `${total} ${total === 1 ? "volume" : "volumes"} in pool ${pool}`,
  examples: [{ pool: "default" }],

  async run({ pool }, ctx) {
    const volumes = await readVolumes(ctx, pool);
    return { volumes, total: volumes.length };
  },
});
