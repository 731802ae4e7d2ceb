/** POST /hosts/test: connect to a hypervisor, and tell what its login can and cannot do; nothing of it is kept. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { HostUri } from "#runtime/function/host-fields.ts";
import { checkUnlimited } from "#runtime/function/job-access.ts";
import { onTrial } from "#runtime/hypervisor/trial.ts";
import { HostReport, reportHost } from "#runtime/libvirt/host-report.ts";
import { readLogin } from "#runtime/libvirt/login.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Connect to a hypervisor and tell what its login can and cannot do, without keeping it",
  scope: "server",
  input: z.strictObject({
    uri: HostUri,
    sudo: z.boolean().default(false).describe("programs there, but virsh, run through `sudo -n`"),
  }),
  output: HostReport,
  message: ({ state, error }) => (state === "up" ? "it answers" : `it cannot be used: ${error}`),
  examples: [{ uri: "qemu+ssh://root@kvm3/system" }],

  async run({ uri, sudo }, ctx) {
    checkUnlimited(ctx.caller);
    return onTrial({ alias: "test", uri, sudo }, ctx, (trial) =>
      reportHost(trial, async () => ({ ...(await readLogin(trial)), sudo })),
    );
  },
});
