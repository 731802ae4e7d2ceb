/** GET /hosts: every hypervisor, with its state, latency, versions and what its login can do. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { onEach } from "#runtime/http/fleet.ts";
import { isAdded } from "#runtime/hypervisor/added-hosts.ts";
import { HostReport, reportHost } from "#runtime/libvirt/host-report.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "List the hypervisors",
  scope: "server",
  input: z.strictObject({}),
  output: z.object({
    hosts: z.array(
      HostReport.extend({ added: z.boolean().describe("by hosts/add, and not in hypersdk.toml") }),
    ),
    total: z.int(),
  }),
  message: ({ hosts, total }) =>
    `${hosts.filter(({ state }) => state === "up").length} of ${total} hypervisors are up`,

  async run(_input, ctx) {
    const answers = await onEach(
      ctx.hosts,
      async (host) => ({ ...(await reportHost(ctx.forHost(host))), added: isAdded(host) }),
      ctx.log,
    );
    const hosts = answers.hosts.flatMap((answer) =>
      answer.status === "success" ? [answer.data] : [],
    );
    return { hosts, total: hosts.length };
  },
});
