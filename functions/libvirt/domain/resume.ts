/** POST /libvirt/domain/resume: let a paused domain go on. */
import * as z from "zod";
import { domainRef } from "../../../runtime/domain.ts";
import { defineFunction } from "../../../runtime/function.ts";
import { DomainName } from "../../../runtime/schemas.ts";

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
