/** GET /libvirt/networks: all networks of the hypervisor, running or not. */
import * as z from "zod";
import { defineFunction } from "../../runtime/function.ts";
import { lines } from "../../runtime/text.ts";

/** Each is one question to libvirt, where virsh's table asks three of every network. */
const LISTS = [
  ["--all", "--name"],
  ["--name"], // of the active ones
  ["--transient", "--name"],
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
        name: z.string(),
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
    const [names = [], active, transient, autostart] = lists.map(lines);
    const networks = names.map((name) => ({
      name,
      active: !!active?.includes(name),
      persistent: !transient?.includes(name),
      autostart: !!autostart?.includes(name),
    }));
    return { networks, total: networks.length };
  },
});
