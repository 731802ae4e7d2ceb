/** POST /libvirt/network/stop: stop a network; a persistent one stays defined. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { NetworkName } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Stop a network",
  input: z.strictObject({ name: NetworkName }),
  output: z.object({ name: z.string(), active: z.boolean() }),
  message: ({ name }) => `Network ${name} stopped`,
  examples: [{ name: "vm-network" }],

  async run({ name }, { virsh }) {
    await virsh(["net-destroy", "--network", name]);
    return { name, active: false };
  },
});
