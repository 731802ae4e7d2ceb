/** POST /searches/delete: forget a query. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { checkUnlimited } from "#runtime/function/job-access.ts";
import { deleteStored, StoredName } from "#runtime/libvirt/inventory/stored.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Forget a query that was kept",
  scope: "server",
  input: z.strictObject({ name: StoredName }),
  output: z.object({ name: z.string() }),
  message: ({ name }) => `search ${name} was deleted`,
  examples: [{ name: "down" }],

  async run({ name }, { caller }) {
    checkUnlimited(caller);
    await deleteStored("search", name);
    return { name };
  },
});
