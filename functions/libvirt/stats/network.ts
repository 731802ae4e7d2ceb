/** GET /libvirt/stats/network?name=: network I/O of one domain. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { DomainName } from "#runtime/libvirt/names.ts";
import { NetworkStats, readOne } from "#runtime/libvirt/stats/stats.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Show network I/O of a domain",
  input: z.strictObject({ name: DomainName }),
  output: NetworkStats,
  message: ({ name, state }) => `Domain ${name} is ${state}`,
  examples: [{ name: "my-vm" }],

  async run({ name }, ctx) {
    return readOne(ctx, name, await domainRef(ctx, name), ["networks"]);
  },
});
