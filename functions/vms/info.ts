/** GET, POST /vms/info: one domain of any hypervisor in detail, with the addresses of its guest. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { atPath, VmPath } from "#runtime/function/vm-path.ts";
import { readVmInfo, VmInfo } from "#runtime/libvirt/inventory/info.ts";

export default defineFunction({
  method: ["GET", "POST"],
  access: "read",
  summary: "Show one domain of any hypervisor, with the addresses of its guest",
  scope: "fleet",
  input: z.strictObject({ vm_path: VmPath }),
  output: z.object({ vm_info: VmInfo }),
  message: null,
  examples: [{ vm_path: "web" }, { vm_path: "kvm1/web" }],

  async run({ vm_path }, ctx) {
    const vm = atPath(ctx, vm_path);
    return { vm_info: await readVmInfo(vm.ctx, vm.name) };
  },
});
