/** GET /libvirt/domains/watch: all domains, with what they do, as they change. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { LiveEvent } from "#runtime/libvirt/live/shapes.ts";
import { watchDomains } from "#runtime/libvirt/live/watch.ts";
import { Name } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Follow all domains as they change",
  scope: "fleet",
  stream: "sse",
  input: z.strictObject({
    name: z
      .array(Name)
      .optional()
      .meta({ "x-libvirt": "domain", description: "names of domains; unless given: all" }),
  }),
  output: LiveEvent,
  message: null,
  examples: [{ name: ["my-vm"] }],

  async run({ name }, { rights, signal, ...ctx }) {
    const { requestedHosts = ctx.hosts } = ctx;
    const hosts = [requestedHosts].flat();
    await Promise.allSettled(hosts.map((host) => rights.lookUp(host))); // of one that is lost none is seen
    const sees = (host: string, domain: string) =>
      rights.sees(host, domain) && (name?.includes(domain) ?? true);
    return watchDomains(hosts, sees, signal);
  },
});
