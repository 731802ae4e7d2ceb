/** GET /libvirt/networks: all networks of the hypervisor, running or not. */
import * as z from "zod";
import { HyperError } from "../../runtime/errors.ts";
import { defineFunction } from "../../runtime/function.ts";
import { lines } from "../../runtime/text.ts";

export default defineFunction({
  method: "GET",
  summary: "List networks",
  input: z.strictObject({}),
  output: z.object({
    networks: z.array(
      z.object({
        name: z.string(),
        uuid: z.string(),
        active: z.boolean(),
        persistent: z.boolean(),
        autostart: z.boolean(),
      }),
    ),
    total: z.int(),
  }),
  message: ({ total }) => `${total} ${total === 1 ? "network" : "networks"}`,

  async run(_input, { virsh }) {
    for (let attempt = 0; attempt < 5; attempt++) {
      // Each list is one question to libvirt; its table is three for every network, and ambiguous.
      const all = ["net-list", "--all"];
      const answers = await virsh.all([
        [...all, "--name"],
        [...all, "--uuid"],
        ["net-list", "--uuid"],
        [...all, "--uuid", "--persistent"],
        [...all, "--uuid", "--autostart"],
        [...all, "--name"],
      ]);
      if (answers[0] !== answers[5]) continue; // one came or went
      const [names = [], uuids = [], ...marked] = answers.map(lines);
      const [active, persistent, autostart] = marked.map(
        (list) => new Set(list.map((uuid) => uuid.trim())),
      );
      const networks = names.map((name, i) => {
        const uuid = uuids[i]?.trim() ?? "";
        return {
          name,
          uuid,
          active: active?.has(uuid) ?? false,
          persistent: persistent?.has(uuid) ?? false,
          autostart: autostart?.has(uuid) ?? false,
        };
      });
      return { networks, total: networks.length };
    }
    throw new HyperError("busy", "the networks changed while they were listed, five times over");
  },
});
