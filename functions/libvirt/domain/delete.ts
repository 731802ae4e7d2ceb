/** POST /libvirt/domain/delete: remove a domain with all that libvirt keeps of it, and its storage on demand. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { deleteDomain, storageSnapshot } from "#runtime/libvirt/domain/delete.ts";
import { domainRef, domainState, listDomains, nameIn } from "#runtime/libvirt/domain/domain.ts";
import { DomainName } from "#runtime/libvirt/names.ts";
import { keyValues, lines } from "#runtime/libvirt/virsh-output.ts";

const Kept = z.object({ path: z.string(), reason: z.string() });

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Delete a domain",
  input: z.strictObject({
    name: DomainName,
    remove_storage: z
      .boolean()
      .default(false)
      .describe(
        "also the writable volumes, and files in allowed folders, that are its alone: no CD-ROM, shared disk or base of another image",
      ),
    snapshots: z
      .boolean()
      .default(true)
      .describe("its snapshots go with it; false refuses a domain that has any"),
    force: z
      .boolean()
      .default(false)
      .describe("switch off a running domain, which is refused else"),
  }),
  output: z.object({
    name: z.string(),
    uuid: z.string(),
    snapshots_deleted: z.array(z.string()),
    removed: z.array(z.string()).optional().describe("with remove_storage: paths"),
    kept: z.array(Kept).optional().describe("with remove_storage: what stays, and why"),
  }),
  message: ({ name, removed }) =>
    `Domain ${name} deleted${removed ? `, and ${removed.length} of its images` : ""}`,
  examples: [{ name: "old-vm", remove_storage: true }],

  async run({ name, remove_storage, snapshots, force }, ctx) {
    const domain = await domainRef(ctx, name);
    const [info = "", list = ""] = await ctx.virsh.all([
      ["dominfo", "--domain", domain],
      ["snapshot-list", "--domain", domain, "--name"],
    ]);
    const { State, UUID: uuid = "" } = keyValues(info);
    const snapshots_deleted = lines(list);
    if (domainState(info).live && !force) {
      const text = `name: domain ${name} is ${State}; shut it down first, or have it switched off with force: true`;
      throw new HyperError("in_use", text);
    }
    if (snapshots_deleted.length > 0 && !snapshots) {
      const text = `snapshots: domain ${name} has ${snapshots_deleted.join(", ")}, which would go with it`;
      throw new HyperError("in_use", text, { details: { snapshots: snapshots_deleted } });
    }
    const result = await deleteDomain(ctx, uuid, storageSnapshot(ctx, remove_storage));
    if ((await listDomains(ctx, "--all")).some((other) => other.uuid === uuid)) {
      throw new HyperError("virsh_failed", `virsh deleted ${name}, but libvirt still has it`);
    }
    return { name: nameIn(info) ?? name, uuid, snapshots_deleted, ...result };
  },
});
