/** GET /libvirt/domains/watch: all domains, with what they do, as they change. */
import * as z from "zod";
import { maySee } from "#runtime/access/caller.ts";
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

  async run({ name }, { caller, signal, ...ctx }) {
    const { requestedHosts = ctx.hosts } = ctx;
    const sees = (domain: string) => maySee(caller, domain) && (name?.includes(domain) ?? true);
    return watchDomains([requestedHosts].flat(), sees, signal);
  },
});
