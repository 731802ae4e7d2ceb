/** POST /libvirt/batch/delete: remove many domains, with their storage on demand, or only their snapshots. */
import * as z from "zod";
import { BatchResult, batch, Domains } from "#runtime/function/batch.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { deleteDomain, storageSnapshot } from "#runtime/libvirt/domain/delete.ts";
import { deleteAllSnapshots } from "#runtime/libvirt/domain/snapshot/delete.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Delete many domains",
  input: z.strictObject({
    domains: Domains,
    remove_storage: z
      .boolean()
      .default(false)
      .describe(
        "also the writable volumes that are theirs alone: no CD-ROM, shared disk or base of another image",
      ),
    snapshots_only: z
      .boolean()
      .default(false)
      .describe("delete the snapshots and leave the domain as it is"),
  }),
  output: BatchResult,
  message: null,
  examples: [{ domains: ["old-vm1", "old-vm2"], remove_storage: true, snapshots_only: false }],

  async run({ domains, remove_storage, snapshots_only }, ctx) {
    return batch(ctx, "delete", domains, (ctx) => {
      const storage = storageSnapshot(ctx, remove_storage);
      return async (domain) =>
        snapshots_only ? deleteAllSnapshots(ctx, domain) : deleteDomain(ctx, domain, storage);
    });
  },
});
