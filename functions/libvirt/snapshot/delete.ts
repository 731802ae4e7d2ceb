/** POST /libvirt/snapshot/delete: remove a snapshot; the domain stays as it is. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { deleteSnapshot } from "#runtime/libvirt/domain/snapshot/delete.ts";
import { assertChainNotShared } from "#runtime/libvirt/domain/snapshot/guards.ts";
import { DomainName, Name } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Delete a snapshot",
  input: z.strictObject({
    domain_name: DomainName,
    snapshot_name: Name.describe("name of the snapshot"),
    children: z
      .boolean()
      .default(false)
      .describe("also delete the snapshots taken after it; otherwise they get its parent"),
  }),
  output: z.object({ domain_name: z.string(), snapshot_name: z.string() }),
  message: ({ domain_name, snapshot_name }) =>
    `Snapshot ${snapshot_name} of ${domain_name} deleted`,
  examples: [{ domain_name: "my-vm", snapshot_name: "before-upgrade" }],

  async run({ domain_name, snapshot_name, children }, ctx) {
    const domain = await domainRef(ctx, domain_name);
    await assertChainNotShared(ctx, domain);
    await deleteSnapshot(ctx, domain, snapshot_name, { children });
    return { domain_name, snapshot_name };
  },
});
