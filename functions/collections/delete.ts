/** POST /collections/delete: forget a collection; its domains stay. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { checkUnlimited } from "#runtime/function/job-access.ts";
import { deleteStored, StoredName } from "#runtime/libvirt/inventory/stored.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Forget a collection; its domains stay",
  scope: "server",
  input: z.strictObject({ name: StoredName }),
  output: z.object({ name: z.string() }),
  message: ({ name }) => `collection ${name} was deleted`,
  examples: [{ name: "web" }],

  async run({ name }, { caller }) {
    checkUnlimited(caller);
    await deleteStored("collection", name);
    return { name };
  },
});
