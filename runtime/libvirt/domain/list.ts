/** All domains of a hypervisor, running or not, as a list shows them. */
import * as z from "zod";
import type { Context } from "../../hypervisor/context.ts";
import { NameOfDomain } from "../names.ts";
import { parseDomstats } from "../stats/domstats.ts";
import { DOMAIN_STATES } from "../stats/sections.ts";
import { listDomains } from "./domain.ts";

export const ListedDomain = z.object({
  name: NameOfDomain,
  uuid: z.string(),
  state: z.string().describe("running, paused, shut off …"),
  persistent: z.boolean(),
  autostart: z.boolean(),
  managed_save: z.boolean().describe("starts from its saved memory"),
  snapshots: z.boolean().describe("has snapshots"),
});

const LISTS = ["--persistent", "--autostart", "--with-managed-save", "--with-snapshot"];

export async function readDomains(ctx: Context): Promise<z.output<typeof ListedDomain>[]> {
  const [all, states = "", ...marked] = await Promise.all([
    listDomains(ctx, "--all"),
    ctx.virsh(["domstats", "--state"]),
    ...LISTS.map(
      async (list) => new Set((await listDomains(ctx, "--all", list)).map(({ uuid }) => uuid)),
    ),
  ]);
  const stats = parseDomstats(
    states,
    all.map(({ name }) => name),
  );
  const [persistent, autostart, saved, snapshots] = marked;
  return all.map(({ uuid, name }) => ({
    name,
    uuid,
    state: DOMAIN_STATES[Number(stats.get(name)?.fields["state.state"])] ?? "no state",
    persistent: persistent?.has(uuid) ?? false,
    autostart: autostart?.has(uuid) ?? false,
    managed_save: saved?.has(uuid) ?? false,
    snapshots: snapshots?.has(uuid) ?? false,
  }));
}
