/** POST /libvirt/template/deploy: a new domain from a template. Everything that is asked is done, or nothing is left. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import type { Context } from "#runtime/hypervisor/context.ts";
import { cloneDomain } from "#runtime/libvirt/clone/clone.ts";
import { Customize, customizeCommands } from "#runtime/libvirt/clone/customize.ts";
import { runGuestfs } from "#runtime/libvirt/clone/guestfs.ts";
import { DiskCopy } from "#runtime/libvirt/clone/plan.ts";
import { setMemory, setNetwork, setVcpus } from "#runtime/libvirt/domain/edit.ts";
import { assertEdited } from "#runtime/libvirt/domain/edited.ts";
import { needProgram } from "#runtime/libvirt/host.ts";
import { DomainName, NetworkName, NewName } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Deploy a domain from a template",
  status: 201,
  input: z.strictObject({
    template: DomainName,
    name: NewName,
    memory: z
      .int()
      .min(1)
      .max(1 << 30)
      .optional()
      .describe("MiB; the template's unless given"),
    vcpus: z.int().min(1).max(4096).optional().describe("the template's unless given"),
    network: NetworkName.optional().describe("for the first interface"),
    autostart: z.boolean().default(false).describe("start it now, and with the hypervisor"),
    customize: Customize.default({}).describe("changes that virt-customize makes in the new disks"),
    linked: z
      .boolean()
      .default(false)
      .describe("overlays on the template's disks instead of copies"),
  }),
  output: z.object({
    name: z.string(),
    uuid: z.string(),
    macs: z.array(z.string()),
    disks: z.array(DiskCopy),
    started: z.boolean(),
  }),
  message: ({ name, started }, { template }) =>
    `Domain ${name} deployed from ${template}${started ? " and started" : ""}`,
  examples: [
    {
      template: "ubuntu-22-template",
      name: "new-webserver",
      memory: 4096,
      vcpus: 2,
      network: "vm-network",
      autostart: true,
      customize: {},
    },
  ],

  async run({ template, name, memory, vcpus, network, autostart, customize, linked }, ctx) {
    const commands = customizeCommands(customize);
    if (commands.length > 0)
      await needProgram(ctx, "virt-customize", { field: "customize", package: "libguestfs-tools" });
    const networkName = network && (await nameOfNetwork(ctx, network));
    const clone = await cloneDomain(
      ctx,
      { source: template, target: name, linked },
      {
        edit(doc) {
          if (memory) setMemory(doc, memory);
          if (vcpus) setVcpus(doc, vcpus);
          if (networkName) setNetwork(doc, networkName);
        },
        writes: commands.length > 0 ? "customize" : undefined,
        async prepare(disks, journal) {
          if (commands.length === 0) return;
          const options = customize.packages?.length ? [] : ["--no-network"];
          const file = ["--commands-from-file", "/dev/stdin"];
          await runGuestfs(
            ctx,
            journal,
            "virt-customize",
            disks,
            [...options, ...file],
            `${commands.join("\n")}\n`,
          );
        },
        async finish(domain) {
          await assertEdited(ctx, domain, { memory, vcpus, network: networkName });
          if (!autostart) return;
          await ctx.virsh(["autostart", "--domain", domain]);
          await ctx.virsh(["start", "--domain", domain]);
        },
      },
    );
    return { ...clone, started: autostart };
  },
});

/** The caller may have given its UUID, which a definition cannot name. Throws `not_found`. */
async function nameOfNetwork({ virsh }: Context, network: string): Promise<string> {
  const info = await virsh(["net-info", "--network", network]);
  return info.match(/^Name: {11}(.*)$/m)?.[1] ?? network;
}
