/** GET /libvirt/domain/definition?name=: a domain's definition, without its passwords. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { DomainName } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Show the definition of a domain",
  input: z.strictObject({
    name: DomainName,
    inactive: z
      .boolean()
      .default(false)
      .describe("what counts from the next start on; of a domain that runs, it may differ"),
  }),
  output: z.object({ name: z.string(), xml: z.string() }),
  message: ({ name }) => `Definition of ${name}`,
  examples: [{ name: "my-vm" }],

  async run({ name, inactive }, ctx) {
    const domain = await domainRef(ctx, name);
    const xml = await ctx.virsh([
      ...["dumpxml", "--domain", domain],
      ...(inactive ? ["--inactive"] : []),
    ]);
    return { name, xml: xml.trim() };
  },
});
