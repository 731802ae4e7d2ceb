/** GET /libvirt/networks: all networks of the hypervisor, running or not. */
import * as z from "zod";
import { HyperError } from "../../runtime/errors.ts";
import { defineFunction } from "../../runtime/function.ts";
import { lines, unescapeTable } from "../../runtime/text.ts";

export default defineFunction({
  method: "GET",
  access: "read",
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
    const all = ["net-list", "--all"];
    for (let attempt = 0; attempt < 5; attempt++) {
      const answers = await virsh.all([[...all, "--name"], [...all, "--uuid"], all]);
      const [names = [], uuids = [], rows = []] = answers.map(lines);
      // All three are in one order, and the table names each once more: it tells when one came or went.
      const networks = names.flatMap((name, i) => {
        const state = readRow(rows[i] ?? "", name);
        return state ? [{ name, uuid: `${uuids[i]}`.trim(), ...state }] : [];
      });
      const same = [names, uuids, rows].every(({ length }) => length === networks.length);
      if (same) return { networks, total: networks.length };
    }
    throw new HyperError("busy", "the networks changed while they were listed, five times over");
  },
});

/** A line of virsh's table: ` NAME   active   yes   no`. Undefined when it is about another network. */
function readRow(row: string, name: string) {
  const text = unescapeTable(row);
  const columns = / +(active|inactive) +(yes|no) +(yes|no)$/.exec(text.slice(1 + name.length));
  if (!text.startsWith(` ${name} `) || columns?.index !== 0) return undefined;
  const [, state, autostart, persistent] = columns;
  return {
    active: state === "active",
    persistent: persistent === "yes",
    autostart: autostart === "yes",
  };
}
