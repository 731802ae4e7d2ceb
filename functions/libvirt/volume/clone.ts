/** POST /libvirt/volume/clone: copy a volume, within its pool or into another; the copy stands on its own. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { PoolName } from "#runtime/libvirt/names.ts";
import { readFilesOf } from "#runtime/libvirt/storage/isolation-chain.ts";
import { readStorage } from "#runtime/libvirt/storage/usage.ts";
import {
  assertImage,
  IMAGE_TIMEOUT_MS,
  KnownVolume,
  readVolume,
  Volume,
  VolumeName,
  volumeXml,
} from "#runtime/libvirt/storage/volume.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Copy a volume",
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
    const source = await readVolume(ctx, pool, source_volume);
    assertImage(source, "source_volume");
    const uses = (await readStorage(ctx)).disksUsing(source);
    const writer = uses.find((use) => use.running && !use.shared && !use.below);
    if (writer) {
      const text = `volume ${source_volume} is used by the running domain ${writer.domain}, so a copy may be torn`;
      throw new HyperError("in_use", text);
    }
    // the guest wrote that header, and libvirt would copy what the header names
    const raw = uses.find((use) => use.format === "raw" && !use.below && source.backing);
    if (raw) {
      const text = `domain ${raw.domain} has volume ${source_volume} as a raw disk, and libvirt would copy it as a ${source.format} image with a backing file`;
      throw new HyperError("unsupported", text);
    }
    if (source.backing) await readFilesOf(ctx, source.path, source.format ?? "raw");
    const format = source.type === "block" ? null : source.format; // libvirt calls a partition's "none"
    // without a backing store, so that the copy holds all the data
    const copy = volumeXml({ name: target_volume, capacity: source.capacity_bytes, format });
    const from = ["--vol", source_volume, "--inputpool", pool];
    const create = ["vol-create-from", "--pool", target_pool, "--file", copy, ...from];
    await ctx.virsh.oneShot(create, { timeout: IMAGE_TIMEOUT_MS });
    return readVolume(ctx, target_pool, target_volume);
  },
});
