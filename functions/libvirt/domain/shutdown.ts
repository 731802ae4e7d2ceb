/** POST /libvirt/domain/shutdown: ask the guest to shut down; it may take its time, or refuse. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { shutDown, WaitOff } from "#runtime/libvirt/domain/wait-off.ts";
import { DomainName } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Shut down a domain",
  input: z.strictObject({
    name: DomainName,
    wait: WaitOff.optional().describe("also wait until the domain is off"),
  }),
  output: z.object({
    name: z.string(),
    state: z.string().optional().describe("shut off, where that was waited for"),
    seconds: z.number().optional().describe("how long that took"),
  }),
  message: ({ name, state }) =>
    state ? `Domain ${name} is ${state}` : `Domain ${name} was asked to shut down`,
  examples: [{ name: "my-vm" }],

  async run({ name, wait }, ctx) {
    const domain = await domainRef(ctx, name);
    if (wait) {
      const seconds = await shutDown(ctx, domain, wait.timeout);
      return { name, state: "shut off", seconds };
    }
    await ctx.virsh(["shutdown", "--domain", domain]);
    return { name };
  },
});
