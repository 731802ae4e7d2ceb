/** POST /libvirt/domain/shutdown: ask the guest to shut down; it may take its time, or refuse. */
import * as z from "zod";
import { domainRef } from "../../../runtime/domain.ts";
import { defineFunction } from "../../../runtime/function.ts";
import { DomainName } from "../../../runtime/schemas.ts";

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Shut down a domain",
  input: z.strictObject({ name: DomainName }),
  output: z.object({ name: z.string() }),
  message: ({ name }) => `Domain ${name} was asked to shut down`,
  examples: [{ name: "my-vm" }],

  async run({ name }, ctx) {
    await ctx.virsh(["shutdown", "--domain", await domainRef(ctx, name)]);
    return { name };
  },
});
