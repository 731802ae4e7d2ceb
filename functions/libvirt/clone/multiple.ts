/** POST /libvirt/clone/multiple: make many domains, `<prefix>-<index>`, from one that is off or paused. */
import * as z from "zod";
import { BatchResult, batchNames } from "#runtime/function/batch.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { cloneDomain } from "#runtime/libvirt/clone/clone.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { DomainName, Name } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Clone a domain many times",
  input: z.strictObject({
    source: DomainName,
    name_prefix: Name.describe("a dash and the number follow it"),
    count: z.int().min(1).max(1000).describe("how many"),
    start_index: z.int().min(0).max(1_000_000).default(1).describe("the first one's number"),
    linked: z.boolean().default(false).describe("overlays on the source's disks instead of copies"),
  }),
  output: BatchResult,
  message: null,
  examples: [{ source: "web-template", name_prefix: "vm-web", count: 5, start_index: 1 }],

  async run({ source, name_prefix, count, start_index, linked }, ctx) {
    await ctx.virsh(["domstate", "--domain", await domainRef(ctx, source)]); // a missing source is a 404
    const names = Array.from({ length: count }, (_, i) => `${name_prefix}-${start_index + i}`);
    return batchNames(ctx, "clone", names, async (target) => {
      const { uuid, disks } = await cloneDomain(ctx, { source, target, linked });
      return { uuid, disks: disks.map(({ path }) => path) };
    });
  },
});
