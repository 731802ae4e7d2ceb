/** GET /libvirt/volume/info?pool=&volume=: one volume in detail. */
import * as z from "zod";
import type { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { PoolName } from "#runtime/libvirt/names.ts";
import { readDataFile } from "#runtime/libvirt/storage/data-file.ts";
import { KnownVolume, readVolume, Volume } from "#runtime/libvirt/storage/volume.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Show one volume",
  input: z.strictObject({ pool: PoolName, volume: KnownVolume }),
  output: Volume.extend({
    data_file: z
      .string()
      .nullable()
      .describe("the file that holds the data of a qcow2 image, if that is another"),
    reasons: z
      .object({ data_file: z.string() })
      .optional()
      .describe("why data_file is null without being known"),
  }),
  message: ({ name, pool }) => `Volume ${name} of pool ${pool}`,
  examples: [{ pool: "default", volume: "data-disk" }],

  async run({ pool, volume }, ctx) {
    const found = await readVolume(ctx, pool, volume);
    const data_file = await readDataFile(ctx, found).catch((error: HyperError) => error);
    if (!(data_file instanceof Error)) return { ...found, data_file };
    return { ...found, data_file: null, reasons: { data_file: data_file.message } };
  },
});
