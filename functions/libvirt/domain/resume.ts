/** POST /libvirt/domain/resume: let a paused domain go on. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { DomainName } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Resume a domain",
  input: z.strictObject({ name: DomainName }),
  output: z.object({ name: z.string() }),
  message: ({ name }) => `Domain ${name} resumed`,
  examples: [{ name: "my-vm" }],

  async run({ name }, ctx) {
    await ctx.virsh(["resume", "--domain", await domainRef(ctx, name)]);
    return { name };
  },
});
