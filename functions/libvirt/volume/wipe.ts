/** POST /libvirt/volume/wipe: overwrite a volume's bytes, so that its data cannot be read again. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import type { Context } from "#runtime/hypervisor/context.ts";
import { needProgram } from "#runtime/libvirt/host.ts";
import { PoolName } from "#runtime/libvirt/names.ts";
import { mayWrite, needsRoot } from "#runtime/libvirt/storage/image-access.ts";
import { assertUnused } from "#runtime/libvirt/storage/usage.ts";
import {
  assertImage,
  Format,
  IMAGE_TIMEOUT_MS,
  KnownVolume,
  parseVolume,
  readVolume,
  type Volume,
} from "#runtime/libvirt/storage/volume.ts";
import {
  assertLike,
  knowsSecret,
  shrinkVolume,
  volumeLike,
} from "#runtime/libvirt/storage/volume-model.ts";

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
  output: z.object({
    pool: z.string(),
    volume: z.string(),
    algorithm: z.string(),
    recreated: z
      .boolean()
      .describe("made anew afterwards, empty, with the format, capacity and options that it had"),
  }),
  message: ({ volume, algorithm, recreated }) =>
    `Volume ${volume} wiped (${algorithm})${recreated ? " and made anew, empty" : ""}`,
  examples: [{ pool: "default", volume: "old-disk", algorithm: "zero" }],

  async run({ pool, volume, algorithm, force }, ctx) {
    const definition = await ctx.virsh(["vol-dumpxml", "--pool", pool, "--vol", volume]);
    const target = parseVolume(pool, definition);
    assertImage(target, "volume");
    const { dataFiles } = await assertUnused(ctx, target, force);
    const file = dataFiles.get(target.path);
    if (file) {
      const text = `volume: the data of ${volume} is in another file, ${file}, which libvirt would not wipe`;
      throw new HyperError("unsupported", text);
    }
    const recreated = isRecreated(target, definition, algorithm);
    if (algorithm === "trim") await trim(ctx, target);
    else {
      if (algorithm !== "zero")
        await needProgram(ctx, "scrub", { field: `algorithm: ${algorithm}` });
      await overwrite(ctx, target, algorithm);
    }
    if (recreated) await recreate(ctx, target, definition);
    return { pool, volume, algorithm, recreated };
  },
});

/** Neither libvirtd nor scrub tells how far it is, and the volume takes the same space all the time. */
async function overwrite(ctx: Context, { pool, name, path }: Volume, algorithm: string) {
  const { virsh } = ctx;
  ctx.progress({ phase: `overwriting (${algorithm})`, percent: null });
  ctx.log.info(`libvirtd overwrites ${path} by the algorithm ${algorithm}.`);
  const wipe = ["vol-wipe", "--pool", pool, "--vol", name, "--algorithm", algorithm];
  await virsh.oneShot(wipe, { timeout: IMAGE_TIMEOUT_MS });
}

/** libvirt overwrites the file of an image with its header, and trim empties a file. */
function isRecreated(volume: Volume, definition: string, algorithm: string): boolean {
  const { type, format, encrypted, name } = volume;
  if (type !== "file") return false;
  const isKnown = Format.options.some((known) => known === format);
  const isOpaque = format === "raw" && (!encrypted || !knowsSecret(definition));
  const isWanted = algorithm === "trim" || (isKnown && !isOpaque);
  if (isWanted && !isKnown)
    throw new HyperError(
      "unsupported",
      `volume ${name}: no volume of format ${format} can be made`,
    );
  if (isWanted && encrypted && !isOpaque && !knowsSecret(definition)) {
    const text = `volume ${name} is encrypted with a secret that libvirt does not have, so it could not be made anew; delete it instead`;
    throw new HyperError("unsupported", text);
  }
  return isWanted;
}

/** Makes the volume anew: by libvirtd, so that the owner and the mode are the old ones. */
async function recreate(ctx: Context, volume: Volume, definition: string) {
  const { pool, name, capacity_bytes, encrypted } = volume;
  ctx.progress({ phase: "making the volume anew", percent: null });
  ctx.log.info(`Volume ${name} is deleted and made anew, empty.`);
  const fails = (left: string) => (error: HyperError) => {
    throw new HyperError(error.code, `volume ${name} is wiped, but ${left}: ${error.message}`);
  };
  await ctx
    .virsh(["vol-delete", "--pool", pool, "--vol", name])
    .catch(fails("its overwritten file is left"));
  await ctx
    .virsh(["vol-create", "--pool", pool, "--file", volumeLike(definition, name)])
    .catch(fails("it is removed and not made anew"));
  const made = await readVolume(ctx, pool, name);
  if (made.capacity_bytes > capacity_bytes && made.format !== "vpc")
    await shrinkVolume(ctx, made, capacity_bytes).catch(
      fails(`it has ${made.capacity_bytes} bytes instead of ${capacity_bytes}`),
    );
  assertLike(made, { ...volume, encrypted: encrypted && knowsSecret(definition) }, name);
}

/** Gives the blocks back, also those of a file with another name; libvirt trims only RBD volumes. */
async function trim(ctx: Context, volume: Volume) {
  const { type, path } = volume;
  if (type !== "file" && type !== "block") return overwrite(ctx, volume, "trim");
  const isOurs = await mayWrite(ctx, path);
  // the file that is made anew gives the blocks back
  if (type === "file" && !isOurs) return overwrite(ctx, volume, "zero");
  if (!isOurs) throw needsRoot(ctx, `trim writes to ${path}`);
  ctx.progress({ phase: "trimming", percent: null });
  ctx.log.info(`The blocks of ${path} are given back.`);
  const argv = type === "block" ? ["blkdiscard", path] : ["sh", "-c", ': >"$1"', "sh", path];
  const { exitCode, stderr } = await ctx.exec(argv, { timeout: IMAGE_TIMEOUT_MS });
  if (exitCode !== 0) throw new HyperError("unsupported", `trim: ${stderr.trim()}`);
}
