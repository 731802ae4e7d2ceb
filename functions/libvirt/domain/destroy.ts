/** POST /libvirt/domain/destroy: switch a domain off, like pulling its power cord. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { DomainName } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Switch a domain off",
  input: z.strictObject({ name: DomainName }),
  output: z.object({ name: z.string() }),
  message: ({ name }) => `Domain ${name} switched off`,
  examples: [{ name: "my-vm" }],

  async run({ name }, ctx) {
    await ctx.virsh(["destroy", "--domain", await domainRef(ctx, name)]);
    return { name };
  },
});
