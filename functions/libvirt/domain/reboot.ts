/** POST /libvirt/domain/reboot: ask the guest to reboot. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { Guest, Wait } from "#runtime/libvirt/domain/wait-for-guest.ts";
import { rebootAndWait } from "#runtime/libvirt/domain/wait-reboot.ts";
import { DomainName } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Reboot a domain",
  input: z.strictObject({
    name: DomainName,
    wait: Wait.optional().describe("also wait until it has rebooted, and for its guest"),
  }),
  output: z.object({ name: z.string(), guest: Guest.optional() }),
  message: ({ name, guest }) =>
    guest ? `Domain ${name} has rebooted` : `Domain ${name} was asked to reboot`,
  examples: [{ name: "my-vm" }],

  async run({ name, wait }, ctx) {
    const domain = await domainRef(ctx, name);
    const ask = () => ctx.virsh(["reboot", "--domain", domain]);
    if (wait) return { name, guest: await rebootAndWait(ctx, domain, wait, ask) };
    await ask();
    return { name };
  },
});
