/** GET /libvirt/volume/info?pool=&volume=: one volume in detail. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { PoolName } from "#runtime/libvirt/names.ts";
import { KnownVolume, readVolume, Volume } from "#runtime/libvirt/storage/volume.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Show one volume",
  input: z.strictObject({ pool: PoolName, volume: KnownVolume }),
  output: Volume,
  message: ({ name, pool }) => `Volume ${name} of pool ${pool}`,
  examples: [{ pool: "default", volume: "data-disk" }],

  async run({ pool, volume }, ctx) {
    return readVolume(ctx, pool, volume);
  },
});
