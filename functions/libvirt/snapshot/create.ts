/** POST /libvirt/snapshot/create: take a snapshot of a domain, of its memory too while it runs. */
import * as z from "zod";
import { domainRef } from "../../../runtime/domain.ts";
import { HyperError } from "../../../runtime/errors.ts";
import { defineFunction } from "../../../runtime/function.ts";
import { Description, DomainName, Name } from "../../../runtime/schemas.ts";
import { readSnapshots, Snapshot } from "../../../runtime/snapshot.ts";
import { IMAGE_TIMEOUT } from "../../../runtime/volume.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Take a snapshot of a domain",
  status: 201,
  input: z.strictObject({
    domain_name: DomainName,
    snapshot_name: Name.describe("name of the snapshot"),
    description: Description.optional(),
    disk_only: z
      .boolean()
      .default(false)
      .describe("the disks without the memory, in overlay files"),
    atomic: z.boolean().default(false).describe("all disks or none"),
  }),
  output: Snapshot,
  message: ({ name }, { domain_name }) => `Snapshot ${name} of ${domain_name} taken`,
  examples: [
    { domain_name: "my-vm", snapshot_name: "before-upgrade", description: "Before the upgrade" },
  ],

  async run({ domain_name, snapshot_name, description, disk_only, atomic }, ctx) {
    const domain = await domainRef(ctx, domain_name);
    const options = [
      ...(description ? ["--description", description] : []),
      ...(disk_only ? ["--disk-only"] : []),
      ...(atomic ? ["--atomic"] : []),
    ];
    const command = ["snapshot-create-as", "--domain", domain, "--name", snapshot_name, ...options];
    await ctx.virsh.long(command, { timeout: IMAGE_TIMEOUT });
    const found = (await readSnapshots(ctx, domain)).find(({ name }) => name === snapshot_name);
    if (!found)
      throw new HyperError("not_found", `snapshot ${snapshot_name} was taken, and has gone since`);
    return found;
  },
});
