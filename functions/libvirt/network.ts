/** GET /libvirt/network?name=: one network in detail. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { NetworkName } from "#runtime/libvirt/names.ts";
import { Network, readNetwork } from "#runtime/libvirt/network/network.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Show one network",
  input: z.strictObject({ name: NetworkName }),
  output: Network,
  message: ({ name, active }) => `Network ${name} is ${active ? "active" : "inactive"}`,
  examples: [{ name: "default" }],

  async run({ name }, ctx) {
    return readNetwork(ctx, name);
  },
});
