/** GET /libvirt/domains: all domains of the hypervisor, running or not. */
import * as z from "zod";
import { plural } from "#runtime/core/plural.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { ListedDomain, readDomains } from "#runtime/libvirt/domain/list.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "List domains",
  input: z.strictObject({}),
  output: z.object({ domains: z.array(ListedDomain), total: z.int() }),
  message: ({ total }) => plural(total, "domain"),

  async run(_input, ctx) {
    const domains = await readDomains(ctx);
    return { domains, total: domains.length };
  },
});
