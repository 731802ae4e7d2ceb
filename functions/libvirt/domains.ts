/** GET /libvirt/domains: all domains of the hypervisor, running or not. */
import * as z from "zod";
import { plural } from "#runtime/core/plural.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { listDomains } from "#runtime/libvirt/domain/domain.ts";
import { NameOfDomain } from "#runtime/libvirt/names.ts";
import { parseDomstats } from "#runtime/libvirt/stats/domstats.ts";
import { DOMAIN_STATES } from "#runtime/libvirt/stats/sections.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "List domains",
  input: z.strictObject({}),
  output: z.object({
    domains: z.array(
      z.object({
        name: NameOfDomain,
        uuid: z.string(),
        state: z.string().describe("running, paused, shut off …"),
        persistent: z.boolean(),
        autostart: z.boolean(),
        managed_save: z.boolean().describe("starts from its saved memory"),
        snapshots: z.boolean().describe("has snapshots"),
      }),
    ),
    total: z.int(),
  }),
  message: ({ total }) => plural(total, "domain"),

  async run(_input, ctx) {
    const lists = ["--persistent", "--autostart", "--with-managed-save", "--with-snapshot"];
    const [all, states = "", ...marked] = await Promise.all([
      listDomains(ctx, "--all"),
      ctx.virsh(["domstats", "--state"]),
      ...lists.map(
        async (list) => new Set((await listDomains(ctx, "--all", list)).map(({ uuid }) => uuid)),
      ),
    ]);
    const stats = parseDomstats(
      states,
      all.map(({ name }) => name),
    );
    const [persistent, autostart, saved, snapshots] = marked;
    const domains = all.map(({ uuid, name }) => ({
      name,
      uuid,
      state: DOMAIN_STATES[Number(stats.get(name)?.fields["state.state"])] ?? "no state",
      persistent: persistent?.has(uuid) ?? false,
      autostart: autostart?.has(uuid) ?? false,
      managed_save: saved?.has(uuid) ?? false,
      snapshots: snapshots?.has(uuid) ?? false,
    }));
    return { domains, total: domains.length };
  },
});
