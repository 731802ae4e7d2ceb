/** GET /collections/list: collections, with the domains that each has now. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { checkUnlimited } from "#runtime/function/job-access.ts";
import { readInventory, Unreachable } from "#runtime/http/inventory.ts";
import { pathOf } from "#runtime/http/selection.ts";
import { parseQuery, select } from "#runtime/libvirt/inventory/query.ts";
import { listCollections } from "#runtime/libvirt/inventory/stored.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "List collections, with the domains that each has now",
  scope: "server",
  input: z.strictObject({}),
  output: z.object({
    collections: z.array(
      z.object({
        name: z.string(),
        description: z.string(),
        vm_ids: z.array(z.string()).nullable().describe("as it was created; null with a query"),
        query: z.string().nullable(),
        members: z.array(z.string()).describe("`host/name` of the domains that are there now"),
        missing: z.array(z.string()).describe("of vm_ids: those that are not there"),
        unknown: z.array(z.string()).describe("domains of which it is not known"),
        vm_count: z.int().describe("of members"),
        created_at: z.string(),
        created_by: z.string(),
      }),
    ),
    total: z.int(),
    unreachable: z.array(Unreachable).describe("hypervisors whose domains are not known"),
  }),
  message: null,

  async run(_input, ctx) {
    checkUnlimited(ctx.caller);
    const stored = await listCollections();
    const { vms, unreachable } = await readInventory(ctx, stored.length > 0 ? ctx.hosts : []);
    const present = new Set(vms.map(pathOf));
    const isAway = (path: string) => unreachable.some(({ host }) => path.startsWith(`${host}/`));
    const collections = stored.map((one) => {
      const vm_ids = one.vm_ids ?? [];
      const found = one.query === null ? undefined : select(parseQuery(one.query), vms);
      const absent = vm_ids.filter((path) => !present.has(path));
      const members = found?.matching.map(pathOf) ?? vm_ids.filter((path) => present.has(path));
      const unknown = found?.unknown.map(pathOf) ?? absent.filter(isAway);
      const missing = absent.filter((path) => !isAway(path));
      return { ...one, members, missing, unknown, vm_count: members.length };
    });
    return { collections, total: collections.length, unreachable };
  },
});
