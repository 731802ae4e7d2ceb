/** Which networks a hypervisor has. */
import * as z from "zod";
import type { Context } from "../../hypervisor/context.ts";
import { lines } from "../virsh-output.ts";

export const ListedNetwork = z.object({
  name: z.string().meta({ "x-libvirt": "network" }),
  active: z.boolean(),
  persistent: z.boolean(),
  autostart: z.boolean(),
});

/** Each list is one call to libvirt. virsh's table makes three calls for every network. */
const LISTS = [
  ["--name"], // active networks; first, so that a network that starts meanwhile does not look transient
  ["--all", "--persistent", "--name"], // together with the active ones, all networks
  ["--all", "--autostart", "--name"],
];

export async function listNetworks({
  virsh,
}: Pick<Context, "virsh">): Promise<z.output<typeof ListedNetwork>[]> {
  const lists = await virsh.all(LISTS.map((list) => ["net-list", ...list]));
  const [active, persistent, autostart] = lists.map((list) => new Set(lines(list)));
  const names = [...new Set([...(active ?? []), ...(persistent ?? [])])];
  return names.sort(byName).map((name) => ({
    name,
    active: !!active?.has(name),
    persistent: !!persistent?.has(name),
    autostart: !!autostart?.has(name),
  }));
}

/** The order of virsh, which ignores case. */
function byName(a: string, b: string): number {
  const [first, second] = [a.toLowerCase(), b.toLowerCase()];
  return first < second ? -1 : Number(first > second);
}
