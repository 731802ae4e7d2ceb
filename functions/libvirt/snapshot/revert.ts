/** POST /libvirt/snapshot/revert: put a domain back to its state when a snapshot was taken. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { assertNoOverlays } from "#runtime/libvirt/domain/snapshot/guards.ts";
import { revertToSnapshot } from "#runtime/libvirt/domain/snapshot/revert.ts";
import { DomainName, Name } from "#runtime/libvirt/names.ts";
import { assertNotBackingFile } from "#runtime/libvirt/storage/backing.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Revert a domain to a snapshot",
  input: z.strictObject({
    domain_name: DomainName,
    snapshot_name: Name.describe("name of the snapshot"),
    state: z
      .enum(["running", "paused"])
      .optional()
      .describe("start it afterwards; otherwise it gets the state of the snapshot"),
  }),
  output: z.object({ domain_name: z.string(), snapshot_name: z.string(), state: z.string() }),
  message: ({ domain_name, snapshot_name }) => `Domain ${domain_name} reverted to ${snapshot_name}`,
  examples: [{ domain_name: "my-vm", snapshot_name: "before-upgrade" }],

  async run({ domain_name, snapshot_name, state }, ctx) {
    const domain = await domainRef(ctx, domain_name);
    await assertNotBackingFile(ctx, domain, domain_name);
    await assertNoOverlays(ctx, domain, snapshot_name);
    const present = await revertToSnapshot(ctx, domain, snapshot_name, state);
    return { domain_name, snapshot_name, state: present };
  },
});
