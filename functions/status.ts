/** GET /status: this server, and whether each of its hypervisors can be reached. */
import * as z from "zod";
import { defineFunction } from "../runtime/function.ts";
import { Reached, reach, version } from "../runtime/version.ts";

export default defineFunction({
  method: "GET",
  summary: "Show this server's version and whether each hypervisor can be reached",
  input: z.strictObject({}),
  output: z.object({
    version: z.string(),
    uptime_seconds: z.number(),
    hosts: z.array(Reached),
  }),
  message: ({ hosts }) => {
    const reached = hosts.filter(({ reachable }) => reachable).length;
    return `${reached} of ${hosts.length} hypervisors reachable`;
  },

  async run(_input, ctx) {
    const hosts = await Promise.all(ctx.hosts.map((host) => reach(ctx.on(host))));
    return { version, uptime_seconds: Math.round(process.uptime()), hosts };
  },
});
