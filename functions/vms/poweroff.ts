/** POST /vms/poweroff: switch a domain of any hypervisor off, like pulling its power cord. */
import * as z from "zod";
import { timestamp } from "#runtime/core/time.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { atPath, VmDone, VmPath } from "#runtime/function/vm-path.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Switch off a domain of any hypervisor",
  scope: "fleet",
  input: z.strictObject({ vm_path: VmPath }),
  output: VmDone,
  message: null,
  examples: [{ vm_path: "web" }, { vm_path: "kvm1/web" }],

  async run({ vm_path }, ctx) {
    const { ctx: there, name, path } = atPath(ctx, vm_path);
    await there.virsh(["destroy", "--domain", await domainRef(there, name)]);
    return { success: true as const, message: `${path} is off`, path, timestamp: timestamp() };
  },
});
