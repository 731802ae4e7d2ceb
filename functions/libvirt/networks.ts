/** GET /libvirt/networks: all networks of the hypervisor, running or not. */
import * as z from "zod";
import { HyperError } from "../../runtime/errors.ts";
import { defineFunction } from "../../runtime/function.ts";
import { lines, unescapeTable } from "../../runtime/text.ts";

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
      // The table cannot be cut where a name holds spaces; the three lists have one order. The table comes
      // first: a connection that breaks in it shows when the next command has to connect again.
      const answers = await virsh.all([
        ["net-list", "--all"],
        ["net-list", "--all", "--uuid"],
        ["net-list", "--all", "--name"],
      ]);
      const [rows = [], uuids = [], names = []] = answers.map(lines);
      const shown = rows.map(unescapeTable);
      const same = names.every((name, i) => shown[i]?.startsWith(` ${name} `));
      const counts = new Set([names.length, uuids.length, rows.length]);
      if (!same || counts.size > 1) continue; // one came or went
      const networks = names.map((name, i) => {
        const [, state, autostart, persistent] =
          rows[i]?.match(/ (active|inactive) +(yes|no) +(yes|no) *$/) ?? [];
        return {
          name,
          uuid: uuids[i]?.trim() ?? "",
          active: state === "active",
          autostart: autostart === "yes",
          persistent: persistent === "yes",
        };
      });
      return { networks, total: networks.length };
    }
    throw new HyperError("busy", "the networks changed while they were listed, five times over");
  },
});
