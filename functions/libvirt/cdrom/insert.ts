/** POST /libvirt/cdrom/insert: put an ISO into a CD-ROM drive, live and in the domain's definition alike. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { insertMedium } from "#runtime/libvirt/devices/insert.ts";
import { Medium } from "#runtime/libvirt/devices/media.ts";
import { Target } from "#runtime/libvirt/devices/places.ts";
import { inTurn } from "#runtime/libvirt/domain/turn.ts";
import { DomainName, PoolName } from "#runtime/libvirt/names.ts";
import { Path } from "#runtime/libvirt/storage/import-image.ts";
import { KnownVolume } from "#runtime/libvirt/storage/volume.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Insert a medium into a CD-ROM drive",
  input: z
    .strictObject({
      name: DomainName,
      volume: KnownVolume.optional(),
      pool: PoolName.default("default").describe("of the volume"),
      path: Path.optional().describe("an ISO on the hypervisor, in an allowed folder"),
      target: Target.optional().describe(
        "the drive, such as sda, whose medium is replaced; the first empty one unless given",
      ),
      force: z.boolean().default(false).describe("open the tray though the guest has locked it"),
    })
    .refine(({ volume, path }) => (volume === undefined) !== (path === undefined), {
      error: "exactly one of volume and path must name the medium",
    }),
  output: Medium,
  message: ({ name, target, path }) => `${path} inserted into drive ${target} of ${name}`,
  examples: [{ name: "my-vm", volume: "debian-12.iso" }],

  async run({ name, ...wish }, ctx) {
    return inTurn(ctx, name, (uuid, dominfo) => insertMedium(ctx, uuid, dominfo, wish));
  },
});
