/** POST /libvirt/batch/delete: remove many domains, with their storage on demand, or only their snapshots. */
import * as z from "zod";
import type { HyperError } from "#runtime/core/errors.ts";
import { BatchResult, batch } from "#runtime/function/batch.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { targeted } from "#runtime/function/targets.ts";
import type { Context } from "#runtime/hypervisor/context.ts";
import { deleteDomain, storageSnapshot } from "#runtime/libvirt/domain/delete.ts";
import { deleteAllSnapshots } from "#runtime/libvirt/domain/snapshot/delete.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Delete many domains",
  input: targeted({
    remove_storage: z
      .boolean()
      .default(false)
      .describe(
        "also the writable volumes, and files in allowed folders, that are theirs alone, and the seed of their cloud-init: no other CD-ROM, no shared disk nor base of another image",
      ),
    snapshots_only: z
      .boolean()
      .default(false)
      .describe("delete the snapshots and leave the domain as it is"),
  }),
  output: BatchResult,
  message: null,
  examples: [{ domains: ["old-vm1", "old-vm2"], remove_storage: true, snapshots_only: false }],

  async run({ domains, select, remove_storage, snapshots_only }, ctx) {
    const onHost = (ctx: Context) => {
      const snapshot = storageSnapshot(ctx, remove_storage);
      return async (domain: string) =>
        snapshots_only ? deleteAllSnapshots(ctx, domain) : deleteDomain(ctx, domain, snapshot);
    };
    return batch(ctx, "delete", { domains, select }, onHost, isBase);
  },
});

/** Refused because of images that stand on the domain's disks; these may be of others of the same call. */
const isBase = ({ code, details }: HyperError) =>
  code === "in_use" && "children" in (details ?? {});
