/** GET /libvirt/networks: all networks of the hypervisor, running or not. */
import * as z from "zod";
import { plural } from "#runtime/core/plural.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { lines } from "#runtime/libvirt/virsh-output.ts";

/** Each list is one call to libvirt. virsh's table makes three calls for every network. */
const LISTS = [
  ["--name"], // active networks; first, so that a network that starts meanwhile does not look transient
  ["--all", "--persistent", "--name"], // together with the active ones, all networks
  ["--all", "--autostart", "--name"],
];

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "List networks",
  input: z.strictObject({}),
  output: z.object({
    networks: z.array(
      z.object({
        name: z.string().meta({ "x-libvirt": "network" }),
        active: z.boolean(),
        persistent: z.boolean(),
        autostart: z.boolean(),
      }),
    ),
    total: z.int(),
  }),
  message: ({ total }) => plural(total, "network"),

  async run(_input, { virsh }) {
    const lists = await virsh.all(LISTS.map((list) => ["net-list", ...list]));
    const [active, persistent, autostart] = lists.map((list) => new Set(lines(list)));
    const names = [...new Set([...(active ?? []), ...(persistent ?? [])])];
    const networks = names.sort(byName).map((name) => ({
      name,
      active: !!active?.has(name),
      persistent: !!persistent?.has(name),
      autostart: !!autostart?.has(name),
    }));
    return { networks, total: networks.length };
  },
});

/** The order of virsh, which ignores case. */
function byName(a: string, b: string): number {
  const [first, second] = [a.toLowerCase(), b.toLowerCase()];
  return first < second ? -1 : Number(first > second);
}
