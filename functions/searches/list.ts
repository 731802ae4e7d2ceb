/** GET /searches/list: queries that were kept, with how many domains each finds now. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { checkUnlimited } from "#runtime/function/job-access.ts";
import { readInventory, Unreachable } from "#runtime/http/inventory.ts";
import { parseQuery, select } from "#runtime/libvirt/inventory/query.ts";
import { listSearches } from "#runtime/libvirt/inventory/stored.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "List queries that were kept, with how many domains each finds now",
  scope: "server",
  input: z.strictObject({}),
  output: z.object({
    searches: z.array(
      z.object({
        name: z.string(),
        query: z.string().describe("for `q` of vms/list"),
        count: z.int().describe("domains that it finds now"),
        unknown: z.int().describe("domains of which it is not known"),
        created_at: z.string(),
        created_by: z.string(),
      }),
    ),
    total: z.int(),
    unreachable: z.array(Unreachable).describe("hypervisors whose domains are not counted"),
  }),
  message: null,

  async run(_input, ctx) {
    checkUnlimited(ctx.caller);
    const stored = await listSearches();
    const { vms, unreachable } = await readInventory(ctx, stored.length > 0 ? ctx.hosts : []);
    const searches = stored.map((one) => {
      const { matching, unknown } = select(parseQuery(one.query), vms);
      return { ...one, count: matching.length, unknown: unknown.length };
    });
    return { searches, total: searches.length, unreachable };
  },
});
