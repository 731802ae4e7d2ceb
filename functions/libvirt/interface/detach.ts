/** POST /libvirt/interface/detach: take an interface from a domain, live and in its definition alike. */
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import type { Context } from "#runtime/hypervisor/context.ts";
import { readAnswering, readDefinition } from "#runtime/libvirt/definitions.ts";
import { domainState } from "#runtime/libvirt/domain/domain.ts";
import { findInterface } from "#runtime/libvirt/domain/interface.ts";
import { inTurn } from "#runtime/libvirt/domain/turn.ts";
import { DomainName, Mac } from "#runtime/libvirt/names.ts";

const Live = z
  .union([z.boolean(), z.literal("requested")])
  .describe('detached from the running domain; "requested": the guest was asked and still has it');

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Detach a network interface from a domain",
  input: z.strictObject({ vm_name: DomainName, mac: Mac }),
  output: z.object({
    vm_name: z.string(),
    mac: Mac,
    live: Live,
    persistent: z.boolean().describe("removed from its stored definition"),
  }),
  message: ({ vm_name, mac, live }) =>
    live === "requested"
      ? `The guest of ${vm_name} was asked to release interface ${mac} and still has it`
      : `Interface ${mac} detached from ${vm_name}`,
  examples: [{ vm_name: "my-vm", mac: "52:54:00:12:34:56" }],

  run: ({ vm_name, mac }, ctx) =>
    inTurn(ctx, vm_name, (domain, dominfo) => detach(ctx, { domain, dominfo, vm_name, mac })),
});

async function detach(
  ctx: Context,
  { domain, dominfo, vm_name, mac }: Record<"domain" | "dominfo" | "vm_name" | "mac", string>,
) {
  const present = await readAnswering(ctx, domain);
  const stored = await readAnswering(ctx, domain, "--inactive");
  const state = domainState(dominfo);
  const running = state.live ? findInterface(present, mac) : undefined;
  const persistent = state.persistent ? findInterface(stored, mac) : undefined;
  const nic = running ?? persistent;
  if (!nic)
    throw new HyperError("not_found", `Interface not found: ${vm_name} has none with MAC ${mac}`);
  const selection = ["--domain", domain, "--type", `${nic["@type"]}`, "--mac", mac];
  const live = running !== undefined && (await detachLive(ctx, domain, mac, selection));
  if (persistent) {
    const command = ["detach-interface", ...selection, "--config"];
    await ctx.virsh(command).catch((error: HyperError) => {
      if (!live) throw error;
      const done = live === "requested" ? "was asked to release" : "has lost";
      const text = `${error.message}; the running domain ${done} the interface, its definition still has it`;
      throw new HyperError(error.code, text, { cause: error });
    });
  }
  return { vm_name, mac, live, persistent: persistent !== undefined };
}

/** The guest releases the interface. virsh reports success after 5 s even if it has not, so it gets 5 s more. */
async function detachLive(ctx: Context, domain: string, mac: string, selection: string[]) {
  await ctx.virsh(["detach-interface", ...selection, "--live"]);
  for (let attempt = 0; attempt < 20; attempt++) {
    const { text, stuck } = await readDefinition(ctx, domain);
    if (!stuck && !findInterface(text, mac)) return true;
    await sleep(250);
  }
  return "requested" as const;
}
