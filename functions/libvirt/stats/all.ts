/** GET /libvirt/stats/all: the statistics of every running domain. */
import * as z from "zod";
import { listDomains } from "../../../runtime/domain.ts";
import { defineFunction } from "../../../runtime/function.ts";
import { DomainStats, readStats } from "../../../runtime/stats.ts";

export default defineFunction({
  method: "GET",
  summary: "Show the statistics of all running domains",
  input: z.strictObject({}),
  output: z.object({ domains: z.array(DomainStats), total: z.int() }),
  message: ({ total }) => `${total} running ${total === 1 ? "domain" : "domains"}`,

  async run(_input, ctx) {
    const running = await listDomains(ctx, "--state-running");
    const targets = running.map(({ uuid, name }) => ({ name, ref: uuid }));
    const found = await readStats(ctx, targets, ["cpu", "memory", "disks", "networks"]);
    const domains = found as z.output<typeof DomainStats>[];
    return { domains, total: domains.length };
  },
});
