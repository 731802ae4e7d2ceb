/** POST /libvirt/template/create: copy a domain that is off or paused as a template, sealed on request. */
import * as z from "zod";
import { timestamp } from "#runtime/core/time.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { cloneDomain } from "#runtime/libvirt/clone/clone.ts";
import { runGuestfs } from "#runtime/libvirt/clone/guestfs.ts";
import { DiskCopy } from "#runtime/libvirt/clone/plan.ts";
import { addMark, TemplateMark } from "#runtime/libvirt/clone/template-mark.ts";
import { needProgram } from "#runtime/libvirt/host.ts";
import { Description, DomainName, NewName } from "#runtime/libvirt/names.ts";

const KEY = /^[^\p{Cc}\p{Cs}\uFFFE\uFFFF]{1,255}$/u;

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Make a template from a domain",
  job: { repeat: true, reads: ["domain"] },
  status: 201,
  input: z.strictObject({
    domain: DomainName,
    name: NewName,
    description: Description.default(""),
    metadata: z
      .record(z.string(), Description)
      .refine((items) => Object.keys(items).every((key) => KEY.test(key)), {
        error: "each key must be 1 to 255 characters, none of them a control character",
      })
      .default({})
      .describe("kept with the template"),
    seal: z
      .boolean()
      .default(false)
      .describe("remove the identity of the one machine with virt-sysprep"),
  }),
  output: TemplateMark.extend({
    name: z.string(),
    uuid: z.string(),
    disks: z.array(DiskCopy),
  }),
  message: ({ name, sealed }, { domain }) =>
    `Template ${name} made from ${domain}${sealed ? " and sealed" : ""}`,
  examples: [
    {
      domain: "base-ubuntu",
      name: "ubuntu-22-template",
      description: "Ubuntu 22.04 base template",
      metadata: {},
      seal: true,
    },
  ],

  async run({ domain, name, description, metadata, seal }, ctx) {
    if (seal)
      await needProgram(ctx, "virt-sysprep", { field: "seal", package: "libguestfs-tools" });
    const mark = { source: domain, created: timestamp(), sealed: seal, description, metadata };
    const { uuid, disks } = await cloneDomain(
      ctx,
      { source: domain, target: name },
      {
        edit: (doc) => addMark(doc, mark),
        writes: seal ? "seal" : undefined,
        async prepare(copies, journal) {
          // without the step that can write a machine-id back after it was emptied
          const options = ["--operations", "defaults,-customize"];
          if (seal && copies.length > 0)
            await runGuestfs(ctx, journal, "virt-sysprep", copies, options);
        },
      },
    );
    return { name, uuid, disks, ...mark };
  },
});
