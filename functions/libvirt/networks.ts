/** GET /libvirt/networks: all networks of the hypervisor, running or not. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { lines } from "#runtime/libvirt/virsh-output.ts";

/** Each is one question to libvirt, where virsh's table asks three of every network. */
const LISTS = [
  ["--name"], // of the active ones: first, so that one that starts meanwhile is no transient one
  ["--all", "--persistent", "--name"], // with those, all there are
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
  message: ({ total }) => `${total} ${total === 1 ? "network" : "networks"}`,

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

/** As virsh sorts them: upper and lower case are the same. */
function byName(a: string, b: string): number {
  const [first, second] = [a.toLowerCase(), b.toLowerCase()];
  return first < second ? -1 : Number(first > second);
}
