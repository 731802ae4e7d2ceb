/** POST /libvirt/domain/destroy: switch a domain off, as by its power cord. */
import * as z from "zod";
import { domainRef } from "../../../runtime/domain.ts";
import { defineFunction } from "../../../runtime/function.ts";
import { DomainName } from "../../../runtime/schemas.ts";

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
