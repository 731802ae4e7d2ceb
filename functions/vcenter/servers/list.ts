/** GET /vcenter/servers/list: the hypervisors that are a vCenter or an ESXi. */
import * as z from "zod";
import { isVmware } from "#runtime/core/libvirt-uri.ts";
import { plural } from "#runtime/core/plural.ts";
import { settings } from "#runtime/core/settings.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { checkUnlimited } from "#runtime/function/job-access.ts";
import { onEach } from "#runtime/http/fleet.ts";
import { listDomains } from "#runtime/libvirt/domain/domain.ts";
import { reach } from "#runtime/libvirt/host.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "List the hypervisors that are a vCenter or an ESXi",
  scope: "server",
  input: z.strictObject({}),
  output: z.object({
    servers: z.array(
      z.object({
        name: z.string(),
        hostname: z.string(),
        uri: z.string(),
        reachable: z.boolean(),
        version: z.string().nullable(),
        vm_count: z.int().nullable().describe("null where it does not answer"),
        error: z.string().nullable(),
      }),
    ),
    total: z.int(),
  }),
  message: ({ total }) => plural(total, "server"),

  async run(_input, ctx) {
    checkUnlimited(ctx.caller);
    const hosts = ctx.hosts.filter((host) => isVmware(`${settings().hosts[host]?.uri}`));
    const answers = await onEach(
      hosts,
      async (host) => {
        const there = ctx.forHost(host);
        const { uri, reachable, hypervisor, error } = await reach(there);
        const vms = reachable ? await listDomains(there, "--all") : undefined;
        const { hostname } = new URL(uri);
        const vm_count = vms?.length ?? null;
        return { name: host, hostname, uri, reachable, version: hypervisor, vm_count, error };
      },
      ctx.log,
    );
    const servers = answers.hosts.flatMap((answer) =>
      answer.status === "success" ? [answer.data] : [],
    );
    return { servers, total: servers.length };
  },
});
