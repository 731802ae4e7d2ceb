/** GET /tags/list: the tags of all domains of all hypervisors, and those that are registered. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { plural } from "#runtime/core/plural.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { readInventory, Unreachable } from "#runtime/http/inventory.ts";
import { registeredTags } from "#runtime/libvirt/inventory/registered-tags.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "List the tags of all domains",
  scope: "server",
  input: z.strictObject({}),
  output: z.object({
    tags: z.array(
      z.object({
        name: z.string(),
        category: z.string().nullable(),
        color: z.string().nullable(),
        registered: z.boolean().nullable().describe("by tags/create; null while that is unknown"),
        vm_count: z.int().describe("domains with it that the caller may see"),
      }),
    ),
    total: z.int(),
    unknown: z.int().describe("domains whose tags cannot be read now"),
    unreachable: z.array(Unreachable).describe("hypervisors whose domains are not counted"),
    registry_error: z.string().nullable().describe("why categories and colours are unknown"),
  }),
  message: ({ total, unreachable }) =>
    `${plural(total, "tag")}${unreachable.length > 0 ? `; ${plural(unreachable.length, "hypervisor")} did not answer` : ""}`,

  async run(_input, ctx) {
    const [{ vms, unreachable }, registry] = await Promise.all([
      readInventory(ctx, ctx.hosts),
      registeredTags().catch((error) => {
        if (error instanceof HyperError) return error;
        throw error;
      }),
    ]);
    const registered = registry instanceof HyperError ? undefined : registry;
    const counts = new Map((registered ?? []).map(({ name }) => [name, 0]));
    for (const { tags } of vms)
      for (const tag of tags ?? []) counts.set(tag, (counts.get(tag) ?? 0) + 1);
    const tags = [...counts]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, vm_count]) => {
        const said = registered?.find((tag) => tag.name === name);
        const { category = null, color = null } = said ?? {};
        return {
          name,
          category,
          color,
          registered: registered ? said !== undefined : null,
          vm_count,
        };
      });
    const unknown = vms.filter(({ tags }) => tags === null).length;
    const registry_error = registry instanceof HyperError ? registry.message : null;
    return { tags, total: tags.length, unknown, unreachable, registry_error };
  },
});
