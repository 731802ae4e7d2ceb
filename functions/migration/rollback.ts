/** POST /migration/rollback: back to a snapshot, or to the hypervisor that still has the domain as it was. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { settings } from "#runtime/core/settings.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { assertNoOverlays } from "#runtime/libvirt/domain/snapshot/guards.ts";
import { readSnapshots } from "#runtime/libvirt/domain/snapshot/read.ts";
import { revertToSnapshot } from "#runtime/libvirt/domain/snapshot/revert.ts";
import { goBack } from "#runtime/libvirt/migrate/back.ts";
import { DomainName, Name } from "#runtime/libvirt/names.ts";
import { assertNotBackingFile } from "#runtime/libvirt/storage/backing.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Go back to a snapshot, or to the hypervisor that a domain came from",
  input: z.strictObject({
    vm_id: DomainName,
    backup_id: Name.describe(
      "a snapshot of the domain; or the alias of the hypervisor that it came from, which still has it (undefine_source: false)",
    ),
  }),
  output: z.object({
    vm_id: z.string(),
    backup_id: z.string(),
    action: z.enum(["reverted", "returned"]),
    host: z.string().describe("that has the domain now"),
    state: z.string(),
    kept_files: z.array(z.string()).describe("files of its disks that stay where it was"),
  }),
  message: ({ vm_id, backup_id, action }) => `Domain ${vm_id} ${action} to ${backup_id}`,
  job: { elsewhere: ({ vm_id, backup_id }) => [{ host: backup_id, name: vm_id }] },
  examples: [{ vm_id: "my-vm", backup_id: "before-upgrade" }],

  async run({ vm_id, backup_id }, ctx) {
    const domain = await domainRef(ctx, vm_id);
    const snapshots = await readSnapshots(ctx, domain);
    if (snapshots.some(({ name }) => name === backup_id)) {
      await assertNotBackingFile(ctx, domain, vm_id);
      await assertNoOverlays(ctx, domain, backup_id);
      const state = await revertToSnapshot(ctx, domain, backup_id);
      return {
        vm_id,
        backup_id,
        action: "reverted" as const,
        host: ctx.host,
        state,
        kept_files: [],
      };
    }
    if (!Object.hasOwn(settings().hosts, backup_id) || backup_id === ctx.host) {
      const text = `backup_id: domain ${vm_id} has no snapshot ${backup_id}, and it is no other hypervisor`;
      throw new HyperError("not_found", text);
    }
    const origin = ctx.forHost(backup_id);
    const back = await goBack(ctx, vm_id, origin);
    const told = { vm_id, backup_id, action: "returned" as const, host: backup_id };
    return { ...told, state: "shut off", ...back };
  },
});
