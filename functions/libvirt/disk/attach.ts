/** POST /libvirt/disk/attach: give a domain another disk, live and in its definition alike. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { AttachedDisk, attachDisk, CACHES } from "#runtime/libvirt/devices/attach.ts";
import { BUSES } from "#runtime/libvirt/devices/places.ts";
import { SOURCE } from "#runtime/libvirt/devices/source.ts";
import { inTurn } from "#runtime/libvirt/domain/turn.ts";
import { DomainName } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Attach a disk to a domain",
  input: z
    .strictObject({
      name: DomainName,
      ...SOURCE,
      bus: z
        .enum(BUSES)
        .default("virtio")
        .describe("the bus on which the guest sees it; sata and ide only while it is off"),
      cache: z.enum(CACHES).optional().describe("libvirt's default unless given"),
      read_only: z.boolean().default(false).describe("the guest cannot write to it"),
      shareable: z
        .boolean()
        .default(false)
        .describe("other domains that share it too may have the raw image at the same time"),
    })
    .refine(
      ({ size, volume, path }) =>
        [size, volume, path].filter((one) => one !== undefined).length === 1,
      {
        error: "exactly one of size, volume and path must say what the disk is on",
      },
    ),
  output: AttachedDisk,
  message: ({ name, target, path }) => `Disk ${target} on ${path} attached to ${name}`,
  examples: [
    { name: "my-vm", size: 20, pool: "default" },
    { name: "my-vm", volume: "data-disk", bus: "scsi" },
  ],

  async run({ name, ...wish }, ctx) {
    return inTurn(ctx, name, (uuid, dominfo) => attachDisk(ctx, uuid, dominfo, wish));
  },
});
