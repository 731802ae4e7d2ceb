/** GET, POST /migration/compatibility: whether a domain can move to another hypervisor, check by check. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { Check } from "#runtime/libvirt/migrate/check.ts";
import { readFindings } from "#runtime/libvirt/migrate/compatibility.ts";
import { readSides } from "#runtime/libvirt/migrate/sides.ts";
import { CopyStorage, HostAlias, Route } from "#runtime/libvirt/migrate/wish.ts";
import { DomainName } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: ["GET", "POST"],
  access: "read",
  summary: "Check whether a domain can move to another hypervisor",
  input: z.strictObject({
    vm_id: DomainName,
    platform: HostAlias,
    live: Route.shape.live,
    copy_storage: CopyStorage.default("all"),
    target_pool: Route.shape.target_pool,
    migrate_host: Route.shape.migrate_host,
    tls: Route.shape.tls,
  }),
  output: z.object({
    vm_id: z.string(),
    platform: z.string(),
    compatible: z.boolean().describe("no check fails"),
    checks: z.array(Check),
  }),
  message: ({ vm_id, platform, compatible }) =>
    `Domain ${vm_id} can ${compatible ? "" : "not "}move to ${platform}`,
  examples: [{ vm_id: "my-vm", platform: "kvm2" }],

  async run({ vm_id, platform, ...route }, ctx) {
    const sides = await readSides(ctx, { name: vm_id, to: platform, ...route });
    const { checks } = await readFindings(sides);
    const compatible = checks.every(({ status }) => status !== "fail");
    return { vm_id: sides.name, platform, compatible, checks };
  },
});
