/** POST /libvirt/interface/attach: give a domain an interface on a network, live and in its definition alike. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { affectFlags, domainRef, domainState, randomMac } from "#runtime/libvirt/domain/domain.ts";
import { DomainName, Mac, NetworkName } from "#runtime/libvirt/names.ts";
import { xml } from "#runtime/libvirt/xml.ts";

/** The models that QEMU knows. libvirt stores any name in a shut-off domain, which then cannot start. */
const Model = z.enum([
  "virtio",
  "virtio-transitional",
  "virtio-non-transitional",
  "e1000",
  "e1000e",
  "igb",
  "rtl8139",
  "vmxnet3",
  "ne2k_pci",
  "pcnet",
  "usb-net",
  "spapr-vlan",
]);

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Attach a network interface to a domain",
  input: z.strictObject({
    vm_name: DomainName,
    network: NetworkName,
    model: Model.default("virtio").describe("the device model that the guest sees"),
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
    const domain = await domainRef(ctx, vm_name);
    // virsh stores an interface on a network that does not exist without an error
    const [info = ""] = await ctx.virsh.all([
      ["dominfo", "--domain", domain],
      ["net-info", "--network", network],
    ]);
    const state = domainState(info);
    const mac = randomMac();
    // attach-interface would not escape the name (virsh 9.0)
    const device = xml`<interface type="network"><mac address="${mac}"/><source network="${network}"/><model type="${model}"/></interface>`;
    const file = ["--file", { text: `${device}` }];
    await ctx.virsh(["attach-device", "--domain", domain, ...file, ...affectFlags(state)]);
    return { vm_name, network, model, mac, ...state };
  },
});
