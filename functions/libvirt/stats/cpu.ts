/** GET /libvirt/stats/cpu?name=: CPU time and use of one domain. */
import * as z from "zod";
import { domainRef } from "../../../runtime/domain.ts";
import { defineFunction } from "../../../runtime/function.ts";
import { DomainName } from "../../../runtime/schemas.ts";
import { CpuStats, readOne } from "../../../runtime/stats.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Show CPU time and use of a domain",
  input: z.strictObject({ name: DomainName }),
  output: CpuStats,
  message: ({ name, state }) => `Domain ${name} is ${state}`,
  examples: [{ name: "my-vm" }],

  async run({ name }, ctx) {
    return readOne(ctx, name, await domainRef(ctx, name), ["cpu"]);
  },
});
