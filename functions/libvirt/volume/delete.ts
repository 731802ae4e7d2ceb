/** POST /libvirt/volume/delete: remove a volume that no domain uses and no image is based on. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { PoolName } from "#runtime/libvirt/names.ts";
import { deleteVolume } from "#runtime/libvirt/storage/delete-volume.ts";
import { assertUnused } from "#runtime/libvirt/storage/usage.ts";
import { KnownVolume, readVolume } from "#runtime/libvirt/storage/volume.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Delete a volume",
  input: z.strictObject({
    pool: PoolName,
    volume: KnownVolume,
    force: z.boolean().default(false).describe("also when a domain that is off uses it"),
  }),
  output: z.object({
    pool: z.string(),
    volume: z.string(),
    path: z.string(),
    data_file: z
      .object({
        path: z.string(),
        removed: z.boolean(),
        reason: z.string().optional().describe("why it is left"),
      })
      .optional()
      .describe(
        "the file that held the volume's data, if that was another; removed if it was its own",
      ),
  }),
  message: ({ volume, pool, data_file }) =>
    `Volume ${volume} deleted from pool ${pool}${data_file ? `; its data file ${data_file.path} ${data_file.removed ? "too" : "is left"}` : ""}`,
  examples: [{ pool: "default", volume: "old-disk" }],

  async run({ pool, volume, force }, ctx) {
    const target = await readVolume(ctx, pool, volume);
    const storage = await assertUnused(ctx, target, force);
    const { removed, kept } = await deleteVolume(ctx, storage, target);
    const answer = { pool, volume, path: target.path };
    const [, removedFile] = removed;
    if (removedFile) return { ...answer, data_file: { path: removedFile, removed: true } };
    const [left] = kept;
    return left ? { ...answer, data_file: { ...left, removed: false } } : answer;
  },
});
