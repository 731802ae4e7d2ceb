/** POST /libvirt/cdrom/eject: take the medium out of a CD-ROM drive, live and in the domain's definition alike. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { ejectMedium } from "#runtime/libvirt/devices/insert.ts";
import { Medium } from "#runtime/libvirt/devices/media.ts";
import { Target } from "#runtime/libvirt/devices/places.ts";
import { inTurn } from "#runtime/libvirt/domain/turn.ts";
import { DomainName } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Eject the medium of a CD-ROM drive",
  input: z.strictObject({
    name: DomainName,
    target: Target.optional().describe(
      "the drive, such as sda; the one with a medium unless given",
    ),
    force: z.boolean().default(false).describe("open the tray though the guest has locked it"),
  }),
  output: Medium,
  message: ({ name, target, previous }) => `${previous} ejected from drive ${target} of ${name}`,
  examples: [{ name: "my-vm" }],

  async run({ name, ...wish }, ctx) {
    return inTurn(ctx, name, (uuid, dominfo) => ejectMedium(ctx, uuid, dominfo, wish));
  },
});
