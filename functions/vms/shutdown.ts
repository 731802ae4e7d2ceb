/** POST /vms/shutdown: ask the guest of a domain of any hypervisor to shut down, and wait until it is off. */
import * as z from "zod";
import { timestamp } from "#runtime/core/time.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { atPath, VmDone, VmPath } from "#runtime/function/vm-path.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { Timeout } from "#runtime/libvirt/domain/wait-for-guest.ts";
import { shutDown } from "#runtime/libvirt/domain/wait-off.ts";

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Shut down a domain of any hypervisor, and wait until it is off",
  scope: "fleet",
  input: z.strictObject({ vm_path: VmPath, timeout: Timeout }),
  output: VmDone.extend({ seconds: z.number().describe("how long it took") }),
  message: null,
  examples: [{ vm_path: "web", timeout: 60 }, { vm_path: "kvm1/web" }],

  async run({ vm_path, timeout }, ctx) {
    const { ctx: there, name, path } = atPath(ctx, vm_path);
    const seconds = await shutDown(there, await domainRef(there, name), timeout);
    const message = `${path} is shut off`;
    return { success: true as const, message, path, seconds, timestamp: timestamp() };
  },
});
