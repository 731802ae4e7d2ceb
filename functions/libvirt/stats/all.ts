/** GET /libvirt/stats/all: the statistics of every running domain; fields that change rarely may be up to 10 s old. */
import * as z from "zod";
import { plural } from "#runtime/core/plural.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { DomainStats, readRunning } from "#runtime/libvirt/stats/stats.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Show the statistics of all running domains",
  input: z.strictObject({}),
  output: z.object({
    domains: z
      .array(DomainStats)
      .describe(
        "current values, except two that may be up to 10 s old: cpu.vcpus (and usage_percent as a share of them), and the memory of a guest that does not report its usage",
      ),
    total: z.int(),
  }),
  message: ({ total }) => plural(total, "running domain"),

  async run(_input, ctx) {
    const domains = await readRunning(ctx);
    return { domains, total: domains.length };
  },
});
