/** POST /libvirt/domain/reboot: ask the guest to reboot. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { DomainName } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Reboot a domain",
  input: z.strictObject({ name: DomainName }),
  output: z.object({ name: z.string() }),
  message: ({ name }) => `Domain ${name} was asked to reboot`,
  examples: [{ name: "my-vm" }],

  async run({ name }, ctx) {
    await ctx.virsh(["reboot", "--domain", await domainRef(ctx, name)]);
    return { name };
  },
});
