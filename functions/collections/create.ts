/** POST /collections/create: keep a list of domains, or a query that tells them, under a name. */
import * as z from "zod";
import { describeCaller } from "#runtime/access/caller.ts";
import { uriOf } from "#runtime/core/settings.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { checkUnlimited } from "#runtime/function/job-access.ts";
import { VmPath } from "#runtime/function/vm-path.ts";
import { QueryText } from "#runtime/http/selection.ts";
import { createCollection, StoredName } from "#runtime/libvirt/inventory/stored.ts";
import { Description } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Keep a list of domains, or a query that tells them, under a name",
  scope: "server",
  status: 201,
  input: z
    .strictObject({
      name: StoredName,
      description: Description.default(""),
      vm_ids: z
        .array(VmPath.refine((path) => path.includes("/"), "must be host/name"))
        .min(1, "must name at least one domain")
        .max(1000, "must name at most 1000 domains")
        .optional()
        .describe("`host/name` of each"),
      query: QueryText.optional().describe("in the place of vm_ids, such as `tag:prod`"),
    })
    .refine(({ vm_ids, query }) => (vm_ids === undefined) !== (query === undefined), {
      path: ["vm_ids"],
      error: "exactly one of vm_ids and query must be given",
    }),
  output: z.object({
    name: z.string(),
    description: z.string(),
    vm_ids: z.array(z.string()).nullable(),
    query: z.string().nullable(),
  }),
  message: ({ name }) => `collection ${name} was created`,
  examples: [
    { name: "web", vm_ids: ["kvm1/web1", "kvm2/web2"] },
    { name: "idle", query: "NOT state:running" },
  ],

  async run({ name, description, vm_ids, query }, { caller }) {
    checkUnlimited(caller);
    for (const path of vm_ids ?? []) uriOf(path.slice(0, path.indexOf("/")));
    const members = vm_ids && [...new Set(vm_ids)];
    const collection = { name, description, vm_ids: members ?? null, query: query ?? null };
    await createCollection(collection, describeCaller(caller));
    return collection;
  },
});
