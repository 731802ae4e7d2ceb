/** The inventory of several hypervisors, as far as the caller may see it. */
import * as z from "zod";
import type { Context } from "../hypervisor/context.ts";
import { readVms } from "../libvirt/inventory/read.ts";
import type { Vm } from "../libvirt/inventory/vm.ts";
import { onEach } from "./fleet.ts";

/** A hypervisor whose domains are not known. */
export const Unreachable = z
  .object({ host: z.string(), error: z.string(), code: z.string() })
  .meta({ "x-hypersdk": "hypervisor" });

export interface Inventory {
  vms: Vm[];
  unreachable: z.output<typeof Unreachable>[];
}

/** One hypervisor that fails costs the others nothing. */
export async function readInventory(ctx: Context, hosts: string[]): Promise<Inventory> {
  const read = async (host: string) => {
    const [vms] = await Promise.all([readVms(ctx.forHost(host)), ctx.rights.lookUp(host)]);
    return vms.filter(({ name }) => ctx.rights.sees(host, name));
  };
  const answers = await onEach(hosts, read, ctx.log);
  const inventory: Inventory = { vms: [], unreachable: [] };
  for (const answer of answers.hosts) {
    if (answer.status === "success") {
      for (const vm of answer.data) inventory.vms.push(vm);
    } else {
      const { host, error, code } = answer;
      inventory.unreachable.push({ host, error, code });
    }
  }
  return inventory;
}
