/** POST /libvirt/volume/wipe: overwrite a volume's bytes, so that its data cannot be read again. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import type { Context } from "#runtime/hypervisor/context.ts";
import { needProgram } from "#runtime/libvirt/host.ts";
import { PoolName } from "#runtime/libvirt/names.ts";
import { assertUnused } from "#runtime/libvirt/storage/usage.ts";
import {
  assertImage,
  IMAGE_TIMEOUT_MS,
  KnownVolume,
  readVolume,
} from "#runtime/libvirt/storage/volume.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Wipe a volume",
  input: z.strictObject({
    pool: PoolName,
    volume: KnownVolume,
    algorithm: z
      .enum([
        "zero",
        "nnsa",
        "dod",
        "bsi",
        "gutmann",
        "schneier",
        "pfitzner7",
        "pfitzner33",
        "random",
        "trim",
      ])
      .default("zero")
      .describe("all but zero and trim need scrub on the hypervisor"),
    force: z.boolean().default(false).describe("also when a domain that is off uses it"),
  }),
  output: z.object({ pool: z.string(), volume: z.string(), algorithm: z.string() }),
  message: ({ volume, algorithm }) => `Volume ${volume} wiped (${algorithm})`,
  examples: [{ pool: "default", volume: "old-disk", algorithm: "zero" }],

  async run({ pool, volume, algorithm, force }, ctx) {
    const target = await readVolume(ctx, pool, volume);
    assertImage(target, "volume");
    await assertUnused(ctx, target, force);
    if (algorithm === "trim") {
      await trim(ctx, target);
    } else {
      if (algorithm !== "zero")
        await needProgram(ctx, "scrub", { field: `algorithm: ${algorithm}` });
      const wipe = ["vol-wipe", "--pool", pool, "--vol", volume, "--algorithm", algorithm];
      await ctx.virsh.oneShot(wipe, { timeout: IMAGE_TIMEOUT_MS });
    }
    return { pool, volume, algorithm };
  },
});

/** Trims a file or a device through the kernel; libvirt trims only RBD volumes. */
async function trim(
  ctx: Context,
  { path, pool, name, type }: Awaited<ReturnType<typeof readVolume>>,
) {
  if (type !== "file" && type !== "block") {
    await ctx.virsh.oneShot(["vol-wipe", "--pool", pool, "--vol", name, "--algorithm", "trim"], {
      timeout: IMAGE_TIMEOUT_MS,
    });
    return;
  }
  const size = await ctx.exec(["stat", "-Lc", "%s", "--", path]);
  if (type === "file" && size.stdout.trim() === "0") return;
  const argv =
    type === "block"
      ? ["blkdiscard", "--", path]
      : ["fallocate", "--punch-hole", "--offset", "0", "--length", size.stdout.trim(), "--", path];
  const { exitCode, stderr } = await ctx.exec(argv, { timeout: IMAGE_TIMEOUT_MS });
  if (exitCode !== 0) throw new HyperError("unsupported", `trim: ${stderr.trim()}`);
}
