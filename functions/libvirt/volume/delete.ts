/** POST /libvirt/volume/delete: remove a volume that no domain uses and no image is based on. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { PoolName } from "#runtime/libvirt/names.ts";
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
  output: z.object({ pool: z.string(), volume: z.string(), path: z.string() }),
  message: ({ volume, pool }) => `Volume ${volume} deleted from pool ${pool}`,
  examples: [{ pool: "default", volume: "old-disk" }],

  async run({ pool, volume, force }, ctx) {
    const target = await readVolume(ctx, pool, volume);
    await assertUnused(ctx, target, force);
    await ctx.virsh(["vol-delete", "--pool", pool, "--vol", volume]);
    return { pool, volume, path: target.path };
  },
});
