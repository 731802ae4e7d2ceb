/** GET /libvirt/networks: all networks of the hypervisor, running or not. */
import * as z from "zod";
import { plural } from "#runtime/core/plural.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { ListedNetwork, listNetworks } from "#runtime/libvirt/network/list.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "List networks",
  input: z.strictObject({}),
  output: z.object({ networks: z.array(ListedNetwork), total: z.int() }),
  message: ({ total }) => plural(total, "network"),

  async run(_input, ctx) {
    const networks = await listNetworks(ctx);
    return { networks, total: networks.length };
  },
});
