/** POST /searches/create: keep a query under a name. */
import * as z from "zod";
import { describeCaller } from "#runtime/access/caller.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { checkUnlimited } from "#runtime/function/job-access.ts";
import { QueryText } from "#runtime/http/selection.ts";
import { createSearch, StoredName } from "#runtime/libvirt/inventory/stored.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Keep a query over the domains under a name",
  scope: "server",
  status: 201,
  input: z.strictObject({
    name: StoredName,
    query: QueryText.describe("such as `tag:prod AND NOT state:running`"),
  }),
  output: z.object({ name: z.string(), query: z.string() }),
  message: ({ name }) => `search ${name} was created`,
  examples: [{ name: "down", query: "tag:prod AND NOT state:running" }],

  async run(search, { caller }) {
    checkUnlimited(caller);
    await createSearch(search, describeCaller(caller));
    return search;
  },
});
