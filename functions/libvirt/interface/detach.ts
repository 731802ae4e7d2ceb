/** POST /libvirt/interface/detach: take an interface from a domain, live and in its definition alike. */
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import type { Context } from "#runtime/hypervisor/context.ts";
import { domainRef, domainState } from "#runtime/libvirt/domain/domain.ts";
import { findInterface } from "#runtime/libvirt/domain/interface.ts";
import { DomainName, Mac } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Detach a network interface from a domain",
  input: z.strictObject({ vm_name: DomainName, mac: Mac }),
  output: z.object({ vm_name: z.string(), mac: Mac, live: z.boolean(), persistent: z.boolean() }),
  message: ({ vm_name, mac }) => `Interface ${mac} detached from ${vm_name}`,
  examples: [{ vm_name: "my-vm", mac: "52:54:00:12:34:56" }],

  async run({ vm_name, mac }, ctx) {
    const domain = await domainRef(ctx, vm_name);
    const [info = "", now = "", stored = ""] = await ctx.virsh.all([
      ["dominfo", "--domain", domain],
      ["dumpxml", "--domain", domain],
      ["dumpxml", "--domain", domain, "--inactive"],
    ]);
    const state = domainState(info);
    const running = state.live ? findInterface(now, mac) : undefined;
    const persistent = state.persistent ? findInterface(stored, mac) : undefined;
    const found = running ?? persistent;
    if (!found)
      throw new HyperError("not_found", `Interface not found: ${vm_name} has none with MAC ${mac}`);
    const command = [
      "detach-interface",
      "--domain",
      domain,
      "--type",
      `${found["@type"]}`,
      "--mac",
      mac,
    ];
    if (running) {
      await ctx.virsh([...command, "--live"]);
      await released(ctx, domain, mac);
    }
    if (persistent) {
      await ctx.virsh([...command, "--config"]).catch((error: HyperError) => {
        if (!running) throw error;
        const text = `${error.message}; the running domain has lost the interface, its definition still has it`;
        throw new HyperError(error.code, text, { cause: error });
      });
    }
    return { vm_name, mac, live: running !== undefined, persistent: persistent !== undefined };
  },
});

/** virsh says yes after 5 s even when the guest has not let go of the device. */
async function released({ virsh }: Context, domain: string, mac: string) {
  for (let wait = 0; wait < 20; wait++) {
    if (!findInterface(await virsh(["dumpxml", "--domain", domain]), mac)) return;
    await sleep(250);
  }
  const text = `the guest has not released the interface ${mac}; it was asked to and may still do so. The stored definition is unchanged`;
  throw new HyperError("timed_out", text);
}
