/** POST /hosts/add: add a hypervisor to those of hypersdk.toml, once it answers. */
import * as z from "zod";
import { describeCaller } from "#runtime/access/caller.ts";
import { HyperError } from "#runtime/core/errors.ts";
import { settings } from "#runtime/core/settings.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { HostAlias, HostUri } from "#runtime/function/host-fields.ts";
import { checkUnlimited } from "#runtime/function/job-access.ts";
import { keepHost } from "#runtime/hypervisor/kept-hosts.ts";
import { onTrial } from "#runtime/hypervisor/trial.ts";
import { Reached, reach } from "#runtime/libvirt/host.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Add a hypervisor",
  scope: "server",
  status: 201,
  input: z.strictObject({
    name: HostAlias,
    uri: HostUri,
    sudo: z.boolean().default(false).describe("programs there, but virsh, run through `sudo -n`"),
    check: z.boolean().default(true).describe("false: add it though it may not answer now"),
  }),
  output: Reached.extend({
    reachable: z.boolean().nullable().describe("null where that was not checked"),
  }),
  message: ({ host }) => `hypervisor ${host} was added`,
  examples: [{ name: "kvm3", uri: "qemu+ssh://root@kvm3/system", check: false }],

  async run({ name, uri, sudo, check }, ctx) {
    checkUnlimited(ctx.caller);
    if (Object.hasOwn(settings().hosts, name))
      throw new HyperError("already_exists", `name: there is a hypervisor ${name}`);
    const host = { alias: name, uri, sudo };
    const [shown = ""] = uri.split("?");
    const unknown = {
      host: name,
      uri: shown,
      reachable: null,
      libvirt: null,
      hypervisor: null,
      error: null,
    };
    const reached = check ? await onTrial(host, ctx, reach) : unknown;
    if (reached.reachable === false)
      throw new HyperError(
        "unreachable",
        `uri: ${reached.error}; add it with check: false all the same`,
      );
    await keepHost(host, describeCaller(ctx.caller));
    return reached;
  },
});
