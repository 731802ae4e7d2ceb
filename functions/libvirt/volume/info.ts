/** GET /libvirt/volume/info?pool=&volume=: one volume in detail. */
import * as z from "zod";
import { defineFunction } from "../../../runtime/function.ts";
import { Name } from "../../../runtime/schemas.ts";
import { readVolume, Volume, VolumeName } from "../../../runtime/volume.ts";

export default defineFunction({
  method: "GET",
  summary: "Show one volume",
  input: z.strictObject({ pool: Name, volume: VolumeName }),
  output: Volume,
  message: ({ name, pool }) => `Volume ${name} of pool ${pool}`,
  examples: [{ pool: "default", volume: "data-disk" }],

  async run({ pool, volume }, ctx) {
    return readVolume(ctx, pool, volume);
  },
});
