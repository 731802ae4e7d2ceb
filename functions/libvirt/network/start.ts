/** POST /libvirt/network/start: start a defined network. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { NetworkName } from "#runtime/libvirt/names.ts";
import { assertBridgeIsFree, mayTakeInterfaces } from "#runtime/libvirt/network/bridge.ts";
import { readNetwork } from "#runtime/libvirt/network/network.ts";

export default defineFunction({
  method: "POST",
  access: "operate",
  summary: "Start a network",
  input: z.strictObject({ name: NetworkName }),
  output: z.object({ name: z.string(), active: z.boolean() }),
  message: ({ name }) => `Network ${name} started`,
  examples: [{ name: "vm-network" }],

  async run({ name }, ctx) {
    if (await mayTakeInterfaces(ctx)) await assertBridgeIsFree(ctx, await readNetwork(ctx, name));
    await ctx.virsh(["net-start", "--network", name]);
    return { name, active: true };
  },
});
