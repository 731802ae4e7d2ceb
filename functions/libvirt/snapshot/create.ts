/** POST /libvirt/snapshot/create: take a snapshot of a domain, of its memory too while it runs. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { readSnapshots, Snapshot } from "#runtime/libvirt/domain/snapshot/read.ts";
import { takeAndWait } from "#runtime/libvirt/domain/snapshot/take-and-wait.ts";
import { Guest, Wait } from "#runtime/libvirt/domain/wait-for-guest.ts";
import { Description, DomainName, Name } from "#runtime/libvirt/names.ts";

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
    wait: Wait.optional().describe("also wait until a domain that ran, and its guest, go on"),
  }),
  output: Snapshot.extend({ guest: Guest.optional() }),
  message: ({ name }, { domain_name }) => `Snapshot ${name} of ${domain_name} taken`,
  examples: [
    { domain_name: "my-vm", snapshot_name: "before-upgrade", description: "Before the upgrade" },
  ],

  async run({ domain_name, snapshot_name, wait, ...options }, ctx) {
    const domain = await domainRef(ctx, domain_name);
    const guest = await takeAndWait(ctx, domain, { name: snapshot_name, ...options }, wait);
    const snapshots = await readSnapshots(ctx, domain);
    const snapshot = snapshots.find(({ name }) => name === snapshot_name);
    if (!snapshot)
      throw new HyperError("not_found", `snapshot ${snapshot_name} was taken, and has gone since`);
    return { ...snapshot, ...(guest && { guest }) };
  },
});
