/** POST /libvirt/clone: make a domain from another one that is off or paused. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { cloneDomain } from "#runtime/libvirt/clone/clone.ts";
import { DiskCopy } from "#runtime/libvirt/clone/plan.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { DomainName, NewName } from "#runtime/libvirt/names.ts";
import { assertDeletable } from "#runtime/libvirt/storage/backing.ts";
import { Path } from "#runtime/libvirt/storage/import-image.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Clone a domain",
  job: { repeat: ({ preserve }) => preserve, reads: ["source"] },
  status: 201,
  input: z
    .strictObject({
      source: DomainName,
      target: NewName,
      files: z
        .array(Path)
        .default([])
        .describe("paths of the new disks, in the order of the source's"),
      new_mac: z.boolean().default(true).describe("new MAC addresses; false keeps the source's"),
      auto_clone: z.boolean().default(true).describe("generate the paths that files does not give"),
      preserve: z
        .boolean()
        .default(true)
        .describe("false: undefine the source afterwards, keeping its disks"),
      linked: z
        .boolean()
        .default(false)
        .describe("overlays on the source's disks instead of copies"),
    })
    .refine(({ linked, preserve }) => preserve || !linked, {
      path: ["preserve"],
      error: "a linked clone stands on its source's disks, so the source must stay",
    }),
  output: z.object({
    name: z.string(),
    uuid: z.string(),
    macs: z.array(z.string()),
    disks: z.array(DiskCopy),
    source_removed: z.boolean(),
  }),
  message: ({ name }, { source }) => `Domain ${source} cloned to ${name}`,
  examples: [
    {
      source: "base-vm",
      target: "cloned-vm",
      files: [],
      new_mac: true,
      auto_clone: true,
      preserve: true,
    },
  ],

  async run({ source, target, files, new_mac, auto_clone, preserve, linked }, ctx) {
    if (!preserve) await assertDeletable(ctx, await domainRef(ctx, source), source);
    const options = { files, newMac: new_mac, autoClone: auto_clone, linked };
    const clone = await cloneDomain(ctx, { source, target, ...options });
    if (!preserve) {
      const flags = [
        "--managed-save",
        "--snapshots-metadata",
        "--checkpoints-metadata",
        "--keep-nvram",
      ];
      const undefine = ["undefine", "--domain", await domainRef(ctx, source), ...flags];
      await ctx.virsh(undefine).catch((error: HyperError) => {
        const text = `the clone ${target} is complete, but its source is still defined: ${error.message}`;
        throw new HyperError(error.code, text, { cause: error });
      });
    }
    return { ...clone, source_removed: !preserve };
  },
});
