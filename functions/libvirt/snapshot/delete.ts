/** POST /libvirt/snapshot/delete: remove a snapshot; the domain stays as it is. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { refuseSharedChain } from "#runtime/libvirt/domain/snapshot.ts";
import { DomainName, Name } from "#runtime/libvirt/names.ts";
import { IMAGE_TIMEOUT } from "#runtime/libvirt/storage/volume.ts";

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
      .describe("also those taken after it; else they get its parent"),
  }),
  output: z.object({ domain_name: z.string(), snapshot_name: z.string() }),
  message: ({ domain_name, snapshot_name }) =>
    `Snapshot ${snapshot_name} of ${domain_name} deleted`,
  examples: [{ domain_name: "my-vm", snapshot_name: "before-upgrade" }],

  async run({ domain_name, snapshot_name, children }, ctx) {
    const domain = await domainRef(ctx, domain_name);
    await refuseSharedChain(ctx, domain);
    const command = ["snapshot-delete", "--domain", domain, "--snapshotname", snapshot_name];
    // merging an overlay can take as long as copying it
    await ctx.virsh.oneShot([...command, ...(children ? ["--children"] : [])], {
      timeout: IMAGE_TIMEOUT,
    });
    return { domain_name, snapshot_name };
  },
});
