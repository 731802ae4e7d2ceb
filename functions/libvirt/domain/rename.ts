/** POST /libvirt/domain/rename: give a domain that is off another name; its UUID, disks and snapshots stay. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { domainRef, domainState, listDomains } from "#runtime/libvirt/domain/domain.ts";
import { DomainName, NewName } from "#runtime/libvirt/names.ts";
import { keyValues } from "#runtime/libvirt/virsh-output.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Rename a domain",
  input: z.strictObject({ name: DomainName, new_name: NewName }),
  output: z.object({ name: z.string(), uuid: z.string(), previous_name: z.string() }),
  message: ({ name, previous_name }) => `Domain ${previous_name} renamed to ${name}`,
  examples: [{ name: "my-vm", new_name: "web-1" }],

  async run({ name, new_name }, ctx) {
    ctx.checkDomain(new_name);
    const domain = await domainRef(ctx, name);
    const info = await ctx.virsh(["dominfo", "--domain", domain]);
    const { State, UUID = "", "Managed save": saved } = keyValues(info);
    if (domainState(info).live) {
      throw new HyperError("in_use", `name: domain ${name} is ${State}; shut it down first`);
    }
    if (saved === "yes") {
      const text = `name: domain ${name} has a managed save, which libvirt does not rename; start it and shut it down first`;
      throw new HyperError("in_use", text);
    }
    const before = await listDomains(ctx, "--all");
    if (before.some((other) => other.name === new_name)) {
      throw new HyperError("already_exists", `new_name: domain '${new_name}' already exists`);
    }
    await ctx.virsh(["domrename", "--domain", UUID, "--new-name", new_name]);
    const after = await listDomains(ctx, "--all").catch((error: HyperError) => {
      const text = `virsh renamed ${name} to ${new_name}, but its name could not be read again: ${error.message}`;
      throw new HyperError("outcome_unknown", text, { cause: error });
    });
    const nameIn = (domains: typeof after) => domains.find(({ uuid }) => uuid === UUID)?.name;
    if (nameIn(after) !== new_name) {
      const text = `virsh renamed ${name} to ${new_name}, but libvirt has it as ${nameIn(after) ?? "no domain"}`;
      throw new HyperError("virsh_failed", text);
    }
    return { name: new_name, uuid: UUID, previous_name: nameIn(before) ?? name };
  },
});
