/** POST /tags/create: say of a tag what category and colour it has. */
import * as z from "zod";
import { describeCaller } from "#runtime/access/caller.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { checkUnlimited } from "#runtime/function/job-access.ts";
import { Category, Color, registerTag } from "#runtime/libvirt/inventory/registered-tags.ts";
import { Tag } from "#runtime/libvirt/inventory/tags.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Register a tag with its category and colour; domains may have others, too",
  scope: "server",
  status: 201,
  input: z.strictObject({
    name: Tag,
    category: Category.nullable().default(null).describe("such as environment"),
    color: Color.nullable().default(null).describe("such as #1a9c4b"),
  }),
  output: z.object({
    name: z.string(),
    category: z.string().nullable(),
    color: z.string().nullable(),
  }),
  message: ({ name }) => `tag ${name} was registered`,
  examples: [{ name: "prod", category: "environment", color: "#1a9c4b" }],

  async run(tag, { caller }) {
    checkUnlimited(caller);
    await registerTag(tag, describeCaller(caller));
    return tag;
  },
});
