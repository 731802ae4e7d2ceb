/** POST /libvirt/batch/snapshot: take a snapshot of many domains, each named by a prefix and the time. */
import * as z from "zod";
import { timestamp } from "#runtime/core/time.ts";
import { BatchResult, batch } from "#runtime/function/batch.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { targeted } from "#runtime/function/targets.ts";
import { takeAndWait } from "#runtime/libvirt/domain/snapshot/take-and-wait.ts";
import { Wait } from "#runtime/libvirt/domain/wait-for-guest.ts";
import { Description, Name } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Take a snapshot of many domains",
  input: targeted({
    name_prefix: Name.default("snapshot").describe("the time follows it"),
    description: Description.optional(),
    atomic: z.boolean().default(false).describe("all disks of a domain or none"),
    disk_only: z
      .boolean()
      .default(false)
      .describe("the disks without the memory, in overlay files"),
    wait: Wait.optional().describe("also wait until each that ran, and its guest, go on"),
  }),
  output: BatchResult,
  message: null,
  examples: [
    {
      domains: ["vm1", "vm2"],
      name_prefix: "backup",
      description: "Pre-upgrade backup",
      atomic: true,
      disk_only: false,
    },
  ],

  async run({ domains, select, name_prefix, wait, ...options }, ctx) {
    const snapshot = `${name_prefix}-${timestamp().replace(/[-:]|\.\d+/g, "")}`;
    return batch(ctx, "snapshot", { domains, select }, (ctx) => async (domain) => {
      const guest = await takeAndWait(ctx, domain, { name: snapshot, ...options }, wait);
      return { snapshot, ...(guest && { guest }) };
    });
  },
});
