/** POST /hosts/remove: forget a hypervisor that was added; its connections are closed, and nothing on it changes. */
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { plural } from "#runtime/core/plural.ts";
import { settings, unknownHypervisor, uriOf } from "#runtime/core/settings.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { HostAlias } from "#runtime/function/host-fields.ts";
import { checkUnlimited } from "#runtime/function/job-access.ts";
import { isAdded } from "#runtime/hypervisor/added-hosts.ts";
import { forgetHost, lookAtHosts } from "#runtime/hypervisor/kept-hosts.ts";
import { openJobsOf } from "#runtime/jobs/counts.ts";
import { removeAuthFile } from "#runtime/libvirt/vcenter.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Forget a hypervisor that was added",
  scope: "server",
  input: z.strictObject({
    name: HostAlias,
    force: z.boolean().default(false).describe("though jobs of it have not ended, which then wait"),
  }),
  output: z.object({ name: z.string() }),
  message: ({ name }) => `hypervisor ${name} was removed`,
  examples: [{ name: "kvm3" }],

  async run({ name, force }, { caller }) {
    checkUnlimited(caller);
    await lookAtHosts();
    if (!isAdded(name)) {
      if (!Object.hasOwn(settings().hosts, name)) throw unknownHypervisor([name]);
      const text = `name: ${name} was not added by hosts/add; it is in hypersdk.toml, or the default`;
      throw new HyperError("unsupported", text);
    }
    const jobs = force ? 0 : await openJobsOf(name);
    if (jobs > 0) {
      const text = `name: ${plural(jobs, "job")} of ${name} have not ended; cancel them, or remove it with force: true`;
      throw new HyperError("in_use", text);
    }
    const uri = uriOf(name);
    await forgetHost(name);
    removeAuthFile(uri);
    return { name };
  },
});
