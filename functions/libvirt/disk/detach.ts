/** POST /libvirt/disk/detach: take a disk from a domain, live and in its definition alike. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { DetachedDisk, detachDisk } from "#runtime/libvirt/devices/detach.ts";
import { Target } from "#runtime/libvirt/devices/places.ts";
import { inTurn } from "#runtime/libvirt/domain/turn.ts";
import { DomainName, PoolName } from "#runtime/libvirt/names.ts";
import { Path } from "#runtime/libvirt/storage/import-image.ts";
import { KnownVolume } from "#runtime/libvirt/storage/volume.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Detach a disk from a domain",
  input: z
    .strictObject({
      name: DomainName,
      target: Target.optional(),
      volume: KnownVolume.optional(),
      pool: PoolName.default("default").describe("of the volume"),
      path: Path.optional().describe("of the image on the hypervisor"),
      remove: z
        .boolean()
        .default(false)
        .describe("also its image, which must be this domain's alone"),
    })
    .refine(
      ({ target, volume, path }) =>
        [target, volume, path].filter((one) => one !== undefined).length === 1,
      {
        error: "exactly one of target, volume and path must name the disk",
      },
    ),
  output: DetachedDisk,
  message: ({ name, target, live }) =>
    live === "requested"
      ? `The guest of ${name} was asked to release disk ${target} and still has it`
      : `Disk ${target} detached from ${name}`,
  examples: [{ name: "my-vm", target: "vdb" }],

  async run({ name, ...wanted }, ctx) {
    return inTurn(ctx, name, (uuid, dominfo) => detachDisk(ctx, uuid, dominfo, wanted));
  },
});
