/** POST /vms/remove-cdrom: eject the media of all CD-ROM drives of a domain of any hypervisor, or remove the drives. */
import * as z from "zod";
import { plural } from "#runtime/core/plural.ts";
import { timestamp } from "#runtime/core/time.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { atPath, VmDone, VmPath } from "#runtime/function/vm-path.ts";
import { ejectAll, removeDrives } from "#runtime/libvirt/devices/all-drives.ts";
import { inTurn } from "#runtime/libvirt/domain/turn.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary:
    "Eject the media of all CD-ROM drives of a domain of any hypervisor, or remove the drives",
  scope: "fleet",
  input: z.strictObject({
    vm_path: VmPath,
    drive: z.boolean().default(false).describe("remove the drives, too; most only while it is off"),
    force: z.boolean().default(false).describe("open trays though the guest has locked them"),
  }),
  output: VmDone.extend({
    ejected: z.array(z.object({ target: z.string(), path: z.string() })).describe("media"),
    removed: z.array(z.string()).describe("drives"),
  }),
  message: null,
  examples: [{ vm_path: "web" }, { vm_path: "kvm1/web" }],

  async run({ vm_path, drive, force }, ctx) {
    const { ctx: there, name, path } = atPath(ctx, vm_path);
    return inTurn(there, name, async (uuid, dominfo) => {
      const ejected = drive ? [] : await ejectAll(there, uuid, dominfo, force);
      const removed = drive ? await removeDrives(there, uuid, dominfo) : [];
      const count = drive
        ? plural(removed.length, "drive")
        : `media of ${plural(ejected.length, "drive")}`;
      const message = `${count} of ${path} ${drive ? "removed" : "ejected"}`;
      return { success: true as const, message, path, ejected, removed, timestamp: timestamp() };
    });
  },
});
