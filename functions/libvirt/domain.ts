/** GET /libvirt/domain?name=: one domain in detail. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { DomainDetails, readDomain } from "#runtime/libvirt/domain/details.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { DomainName } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Show one domain",
  input: z.strictObject({ name: DomainName }),
  output: DomainDetails,
  message: ({ name, state }) => `Domain ${name} is ${state}`,
  examples: [{ name: "my-vm" }],

  async run({ name }, ctx) {
    return readDomain(ctx, name, await domainRef(ctx, name));
  },
});
