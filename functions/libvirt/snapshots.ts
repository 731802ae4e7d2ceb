/** GET /libvirt/snapshots?name=: a domain's snapshots, parents before their children. */
import * as z from "zod";
import { plural } from "#runtime/core/plural.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { readSnapshots, Snapshot } from "#runtime/libvirt/domain/snapshot/read.ts";
import { DomainName } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "List the snapshots of a domain",
  input: z.strictObject({ name: DomainName }),
  output: z.object({ snapshots: z.array(Snapshot), total: z.int() }),
  message: ({ total }, { name }) => `${plural(total, "snapshot")} of ${name}`,
  examples: [{ name: "my-vm" }],

  async run({ name }, ctx) {
    const snapshots = await readSnapshots(ctx, await domainRef(ctx, name));
    return { snapshots, total: snapshots.length };
  },
});
