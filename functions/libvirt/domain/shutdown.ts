/** POST /libvirt/domain/shutdown: ask the guest to shut down; it may take its time, or refuse. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { DomainName } from "#runtime/libvirt/names.ts";

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
