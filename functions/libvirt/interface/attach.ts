/** POST /libvirt/interface/attach: give a domain an interface on a network, live and in its definition alike. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { affectFlags, domainState, randomMac } from "#runtime/libvirt/domain/domain.ts";
import { InterfaceModel } from "#runtime/libvirt/domain/interface-model.ts";
import { inTurn } from "#runtime/libvirt/domain/turn.ts";
import { DomainName, Mac, NetworkName } from "#runtime/libvirt/names.ts";
import { xml } from "#runtime/libvirt/xml.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Attach a network interface to a domain",
  input: z.strictObject({
    vm_name: DomainName,
    network: NetworkName,
    model: InterfaceModel.default("virtio").describe("the device model that the guest sees"),
  }),
  output: z.object({
    vm_name: z.string(),
    network: z.string(),
    model: z.string(),
    mac: Mac,
    live: z.boolean().describe("attached to the running domain"),
    persistent: z.boolean().describe("stored in its definition"),
  }),
  message: ({ vm_name, network, mac }) => `Interface ${mac} on ${network} attached to ${vm_name}`,
  examples: [{ vm_name: "my-vm", network: "vm-network", model: "virtio" }],

  async run({ vm_name, network, model }, ctx) {
    // virsh stores an interface on a network that does not exist without an error
    await ctx.virsh(["net-info", "--network", network]);
    const mac = randomMac();
    // attach-interface would not escape the name (virsh 9.0)
    const device = xml`<interface type="network"><mac address="${mac}"/><source network="${network}"/><model type="${model}"/></interface>`;
    const file = ["--file", { text: `${device}` }];
    return inTurn(ctx, vm_name, async (uuid, dominfo) => {
      const state = domainState(dominfo);
      await ctx.virsh(["attach-device", "--domain", uuid, ...file, ...affectFlags(state)]);
      return { vm_name, network, model, mac, ...state };
    });
  },
});
