/** GET /libvirt/network/watch: the networks of a hypervisor, as they change. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { LiveNetworks, watchNetworks } from "#runtime/libvirt/live/networks.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Follow the networks as they change",
  stream: "sse",
  input: z.strictObject({}),
  output: LiveNetworks,
  message: null,

  async run(_input, { host, signal }) {
    return watchNetworks(host, signal);
  },
});
