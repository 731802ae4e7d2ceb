/** POST /libvirt/volume/resize: grow a volume, through the running domain that uses it; shrink it on demand. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import type { Context } from "#runtime/hypervisor/context.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { PoolName } from "#runtime/libvirt/names.ts";
import { Capacity } from "#runtime/libvirt/size.ts";
import { mayBeInUse } from "#runtime/libvirt/storage/look.ts";
import { readStorage } from "#runtime/libvirt/storage/usage.ts";
import type { Use } from "#runtime/libvirt/storage/uses.ts";
import { assertImage, KnownVolume, readVolume, Volume } from "#runtime/libvirt/storage/volume.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Resize a volume",
  input: z.strictObject({
    pool: PoolName,
    volume: KnownVolume,
    capacity: Capacity,
    shrink: z
      .boolean()
      .default(false)
      .describe("allow a smaller capacity, which cuts off what lies beyond"),
  }),
  output: Volume,
  message: ({ name, capacity_bytes }) => `Volume ${name} resized to ${capacity_bytes} bytes`,
  examples: [{ pool: "default", volume: "data-disk", capacity: 100, shrink: false }],

  async run({ pool, volume, capacity, shrink }, ctx) {
    const before = await readVolume(ctx, pool, volume);
    assertImage(before, "volume");
    const smaller = capacity < before.capacity_bytes;
    if (smaller && !shrink) {
      const text = `capacity: ${capacity} bytes is less than the present ${before.capacity_bytes}; shrink: true cuts off the rest`;
      throw new HyperError("invalid_input", text);
    }
    const storage = await readStorage(ctx);
    const uses = storage.disksUsing(before);
    const below = uses.filter((use) => use.below).map(({ domain }) => domain);
    const children = [...storage.overlaysOf(before), ...below];
    if (children.length > 0) {
      const text = `volume ${volume} is the base of ${children.join(", ")}`;
      throw new HyperError("in_use", text, { details: { children } });
    }
    if (uses.length === 0 && storage.unknown.length > 0)
      throw mayBeInUse(ctx, `volume ${volume}`, storage.unknown);
    const running = uses.find((use) => use.running);
    if (running && smaller) {
      const text = `volume ${volume} cannot shrink while ${running.domain} runs on it`;
      throw new HyperError("in_use", text);
    }
    const sizes = `from ${before.capacity_bytes} to ${capacity} bytes`;
    ctx.log.info(`${before.path} is resized ${sizes}${running ? ` by ${running.domain}` : ""}.`);
    ctx.progress({ phase: "resizing", percent: null }); // nothing is allocated, so there is nothing to count
    if (running) await growLive(ctx, running, before, capacity);
    else await resizeStored(ctx, before, capacity, smaller);
    return readVolume(ctx, pool, volume);
  },
});

type Stored = z.output<typeof Volume>;

/** Grows the disk of a running domain, then has the pool look at the volume that QEMU has changed. */
async function growLive(ctx: Context, { domain, target }: Use, volume: Stored, capacity: number) {
  const ref = await domainRef(ctx, domain);
  await ctx.virsh(["blockresize", "--domain", ref, "--path", target, "--size", `${capacity}B`]);
  await ctx.virsh(["vol-info", "--pool", volume.pool, "--vol", volume.name]);
}

async function resizeStored(ctx: Context, volume: Stored, capacity: number, shrink: boolean) {
  const which = ["--pool", volume.pool, "--vol", volume.name];
  const flags = shrink ? ["--shrink"] : [];
  await ctx.virsh(["vol-resize", ...which, "--capacity", `${capacity}B`, ...flags]);
}
