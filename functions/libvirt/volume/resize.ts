/** POST /libvirt/volume/resize: grow a volume, through the running domain that uses it; shrink it on demand. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { PoolName } from "#runtime/libvirt/names.ts";
import { Capacity } from "#runtime/libvirt/size.ts";
import { readStorage } from "#runtime/libvirt/storage/usage.ts";
import { KnownVolume, readVolume, Volume } from "#runtime/libvirt/storage/volume.ts";

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
      throw new HyperError("in_use", `volume ${volume} is the base of ${children.join(", ")}`, {
        details: { children },
      });
    }
    const live = uses.find(({ running }) => running);
    if (live && smaller) {
      throw new HyperError(
        "in_use",
        `volume ${volume} cannot shrink while ${live.domain} runs on it`,
      );
    }
    const size = `${capacity}B`;
    await ctx.virsh(
      live
        ? [
            "blockresize",
            "--domain",
            await domainRef(ctx, live.domain),
            "--path",
            live.target,
            "--size",
            size,
          ]
        : [
            "vol-resize",
            "--pool",
            pool,
            "--vol",
            volume,
            "--capacity",
            size,
            ...(smaller ? ["--shrink"] : []),
          ],
    );
    if (live) await ctx.virsh(["vol-info", "--pool", pool, "--vol", volume]); // looks at what QEMU changed
    return readVolume(ctx, pool, volume);
  },
});
