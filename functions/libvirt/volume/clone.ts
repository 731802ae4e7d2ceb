/** POST /libvirt/volume/clone: copy a volume, within its pool or into another; the copy stands on its own. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import type { Context } from "#runtime/hypervisor/context.ts";
import { PoolName } from "#runtime/libvirt/names.ts";
import { withRollback } from "#runtime/libvirt/rollback.ts";
import { whileFilling } from "#runtime/libvirt/storage/allocation.ts";
import { inCopyPlace } from "#runtime/libvirt/storage/copy-place.ts";
import { assertCopyable } from "#runtime/libvirt/storage/isolation-chain.ts";
import { readStorage } from "#runtime/libvirt/storage/usage.ts";
import {
  assertImage,
  IMAGE_TIMEOUT_MS,
  KnownVolume,
  parseVolume,
  readVolume,
  Volume,
  VolumeName,
} from "#runtime/libvirt/storage/volume.ts";
import { assertLike, volumeLike } from "#runtime/libvirt/storage/volume-model.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Copy a volume",
  job: { repeat: true },
  status: 201,
  input: z.strictObject({
    pool: PoolName,
    source_volume: KnownVolume,
    target_volume: VolumeName,
    target_pool: PoolName.optional().describe("the pool of the source unless given"),
  }),
  output: Volume,
  message: ({ name, pool }, { source_volume }) =>
    `Volume ${source_volume} cloned to ${name} in pool ${pool}`,
  examples: [
    {
      pool: "default",
      source_volume: "vm-disk",
      target_volume: "vm-disk-backup",
      target_pool: "default",
    },
  ],

  async run({ pool, source_volume, target_volume, target_pool = pool }, ctx) {
    await readSource(ctx, pool, source_volume); // what cannot be copied is refused at once
    ctx.progress({ phase: "waiting to copy", percent: null });
    return inCopyPlace(ctx, async () => {
      const { source, definition } = await readSource(ctx, pool, source_volume); // it may have waited for hours
      const name = target_volume;
      return withRollback(ctx, `copy of volume ${source_volume} to ${name}`, async (journal) => {
        const from = ["--vol", source_volume, "--inputpool", pool];
        const file = volumeLike(definition, name);
        const create = ["vol-create-from", "--pool", target_pool, "--file", file, ...from];
        const total = source.backing ? undefined : source.allocation_bytes;
        const filling = { phase: "copying", total, progress: ctx.progress };
        const target = { pool: target_pool, name, type: source.type };
        ctx.log.info(`libvirtd copies ${source.path} to volume ${name} of pool ${target_pool}.`);
        await journal
          .track({ kind: "volume", pool: target_pool, name }, () =>
            whileFilling(ctx, target, filling, () =>
              ctx.virsh.oneShot(create, { timeout: IMAGE_TIMEOUT_MS }),
            ),
          )
          .catch((error: HyperError) => {
            throw dataFileProblem(source_volume, error) ?? error;
          });
        const copy = await readVolume(ctx, target_pool, name);
        assertLike(copy, source, name);
        return copy;
      });
    });
  },
});

/** Throws for a volume that is no image, that a guest writes to, or whose header a guest has written. */
async function readSource(ctx: Context, pool: string, name: string) {
  const definition = await ctx.virsh(["vol-dumpxml", "--pool", pool, "--vol", name]);
  const source = parseVolume(pool, definition);
  assertImage(source, "source_volume");
  const uses = (await readStorage(ctx)).disksUsing(source);
  const writer = uses.find((use) => use.running && !use.shared && !use.below);
  if (writer) {
    const text = `volume ${name} is used by the running domain ${writer.domain}, so a copy may be torn`;
    throw new HyperError("in_use", text);
  }
  // the guest wrote that header, and libvirt would copy what the header names
  const raw = uses.find((use) => use.format === "raw" && !use.below && source.backing);
  if (raw) {
    const text = `domain ${raw.domain} has volume ${name} as a raw disk, and libvirt would copy it as a ${source.format} image with a backing file`;
    throw new HyperError("unsupported", text);
  }
  if (source.backing) await assertCopyable(ctx, source);
  return { source, definition };
}

/** qemu-img looks for a data file with a relative name in the folder that libvirtd runs in. */
function dataFileProblem(volume: string, error: HyperError): HyperError | undefined {
  const [, file] = error.message.match(/Could not open '([^'/][^']*)': No such file/) ?? [];
  if (!file) return undefined;
  const text = `source_volume: the data of ${volume} is in another file, "${file}", whose name is relative, so libvirt cannot find it`;
  return new HyperError("unsupported", text, { cause: error });
}
