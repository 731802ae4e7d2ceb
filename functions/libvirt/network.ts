/** GET /libvirt/network?name=: one network in detail. */
import * as z from "zod";
import { defineFunction } from "../../runtime/function.ts";
import { Network, readNetwork } from "../../runtime/network.ts";
import { Name } from "../../runtime/schemas.ts";

export default defineFunction({
  method: "GET",
  summary: "Show one network",
  input: z.strictObject({ name: Name }),
  output: Network,
  message: ({ name, active }) => `Network ${name} is ${active ? "active" : "inactive"}`,
  examples: [{ name: "default" }],

  async run({ name }, ctx) {
    return readNetwork(ctx, name);
  },
});
