/** POST /tags/delete: forget what was said of a tag; domains keep it. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { checkUnlimited } from "#runtime/function/job-access.ts";
import { forgetTag } from "#runtime/libvirt/inventory/registered-tags.ts";
import { Tag } from "#runtime/libvirt/inventory/tags.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Forget the category and colour of a tag; domains keep the tag",
  scope: "server",
  input: z.strictObject({ name: Tag }),
  output: z.object({ name: z.string() }),
  message: ({ name }) => `tag ${name} is no longer registered`,
  examples: [{ name: "prod" }],

  async run({ name }, { caller }) {
    checkUnlimited(caller);
    await forgetTag(name);
    return { name };
  },
});
