/** GET /hosts/watch: every hypervisor with its state, as it changes. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { HostReport } from "#runtime/libvirt/host-report.ts";
import { watchReports } from "#runtime/libvirt/live/hosts.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Follow the hypervisors as they change",
  scope: "server",
  stream: "sse",
  input: z.strictObject({}),
  output: z.object({ hosts: z.array(HostReport).describe("those that are known by now") }),
  message: null,

  async run(_input, { hosts, signal }) {
    return watchReports(hosts, signal);
  },
});
