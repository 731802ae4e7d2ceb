/** POST /vcenter/servers/add: add a vCenter or an ESXi as a hypervisor, with its password in a file. */
import * as z from "zod";
import { describeCaller } from "#runtime/access/caller.ts";
import { HyperError } from "#runtime/core/errors.ts";
import { settings } from "#runtime/core/settings.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { HostAlias } from "#runtime/function/host-fields.ts";
import { checkUnlimited } from "#runtime/function/job-access.ts";
import { keepHost } from "#runtime/hypervisor/kept-hosts.ts";
import { onTrial } from "#runtime/hypervisor/trial.ts";
import { reach } from "#runtime/libvirt/host.ts";
import {
  newAuthFile,
  removeAuthFile,
  VcenterServer,
  vcenterUri,
  writeAuthFile,
} from "#runtime/libvirt/vcenter.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Add a vCenter or an ESXi as a hypervisor",
  scope: "server",
  status: 201,
  input: VcenterServer.extend({
    name: HostAlias,
    check: z.boolean().default(true).describe("false: add it though it may not answer now"),
  }),
  output: z.object({ name: z.string(), uri: z.string() }),
  message: ({ name }) => `server ${name} was added`,
  examples: [
    { name: "esx1", hostname: "esx1.example", username: "root", password: "…", check: false },
  ],

  async run({ name, check, ...server }, ctx) {
    checkUnlimited(ctx.caller);
    if (settings().database.url) {
      const text =
        "password: is kept in a file, which other servers on [database] url do not have; write an authfile and [hosts.X] on each";
      throw new HyperError("unsupported", text);
    }
    if (Object.hasOwn(settings().hosts, name))
      throw new HyperError("already_exists", `name: there is a hypervisor ${name}`);
    const file = newAuthFile(name);
    const host = { alias: name, uri: vcenterUri(file, server), sudo: false };
    writeAuthFile(file, server);
    try {
      const { reachable, error } = check
        ? await onTrial(host, ctx, reach)
        : { reachable: true, error: null };
      if (!reachable)
        throw new HyperError(
          "unreachable",
          `hostname: ${error}; add it with check: false all the same`,
        );
      await keepHost(host, describeCaller(ctx.caller));
    } catch (error) {
      removeAuthFile(host.uri);
      throw error;
    }
    return { name, uri: host.uri.replace(/\?.*/, "") };
  },
});
