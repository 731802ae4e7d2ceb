/** POST /libvirt/domain/start: start a domain. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { DomainName } from "#runtime/libvirt/names.ts";
import { assertNotBackingFile } from "#runtime/libvirt/storage/backing.ts";

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Start a domain",
  input: z.strictObject({ name: DomainName }),
  output: z.object({ name: z.string() }),
  message: ({ name }) => `Domain ${name} started`,
  examples: [{ name: "my-vm" }],

  async run({ name }, ctx) {
    const domain = await domainRef(ctx, name);
    await assertNotBackingFile(ctx, domain, name);
    await ctx.virsh(["start", "--domain", domain]);
    return { name };
  },
});
