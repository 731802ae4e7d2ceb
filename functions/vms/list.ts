/** GET /vms/list: the domains of all hypervisors, those that a query finds, in an order, a page at a time. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { readInventory, Unreachable } from "#runtime/http/inventory.ts";
import { pathOf, QueryText } from "#runtime/http/selection.ts";
import { pageOf, SORTS } from "#runtime/libvirt/inventory/page.ts";
import { mayMatchHost, parseQuery, select } from "#runtime/libvirt/inventory/query.ts";
import { describeVm, VmView } from "#runtime/libvirt/inventory/view.ts";
import { NameOfDomain } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "List the domains of all hypervisors, or those that a query finds",
  scope: "fleet",
  input: z.strictObject({
    q: QueryText.optional().describe("such as `tag:prod AND state:running AND memory:>4GiB`"),
    sort: z.enum(SORTS).default("path").describe("downwards with a hyphen before it"),
    limit: z.int().min(1).max(10_000).default(1000).describe("domains on a page"),
    cursor: z.string().optional().describe("of the answer before, for the next page"),
  }),
  output: z.object({
    vms: z.array(VmView),
    total: z.int().describe("all that match"),
    cursor: z.string().nullable().describe("null on the last page"),
    unknown_vms: z
      .array(z.object({ name: NameOfDomain, path: z.string(), reason: z.string().nullable() }))
      .describe("domains of which it is not known whether they match"),
    unreachable: z.array(Unreachable).describe("hypervisors whose domains are missing"),
  }),
  message: null,
  examples: [{ q: "tag:prod AND NOT state:running", sort: "-memory_mb", limit: 50 }],

  async run({ q, sort, limit, cursor }, ctx) {
    const query = q === undefined ? undefined : parseQuery(q);
    const asked = [ctx.requestedHosts ?? ctx.hosts].flat();
    const hosts = asked.filter((host) => !query || mayMatchHost(query, host));
    const { vms, unreachable } = await readInventory(ctx, hosts);
    const found = query ? select(query, vms) : { matching: vms, unknown: [] };
    const page = pageOf(found.matching, { sort, limit, cursor });
    return {
      vms: page.vms.map(describeVm),
      ...{ total: found.matching.length, cursor: page.cursor },
      unknown_vms: found.unknown.map((vm) => ({
        ...{ name: vm.name, path: pathOf(vm), reason: vm.reason ?? null },
      })),
      unreachable,
    };
  },
});
