/** POST /libvirt/domain/start: start a domain. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { readKnown } from "#runtime/libvirt/definitions.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import {
  assertWaitable,
  Guest,
  Wait,
  waitForGuest,
} from "#runtime/libvirt/domain/wait-for-guest.ts";
import { DomainName } from "#runtime/libvirt/names.ts";
import { assertNotBackingFile } from "#runtime/libvirt/storage/backing.ts";

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Start a domain",
  input: z.strictObject({
    name: DomainName,
    wait: Wait.optional().describe("also wait for its guest"),
  }),
  output: z.object({ name: z.string(), guest: Guest.optional() }),
  message: ({ name }) => `Domain ${name} started`,
  examples: [{ name: "my-vm" }],

  async run({ name, wait }, ctx) {
    const domain = await domainRef(ctx, name);
    if (wait) assertWaitable((await readKnown(ctx, domain)).domain, wait);
    await assertNotBackingFile(ctx, domain, name);
    await ctx.virsh(["start", "--domain", domain]);
    return { name, ...(wait && { guest: await waitForGuest(ctx, domain, wait) }) };
  },
});
