/** GET /console/serial-device?name=: where a running domain's serial consoles are on the hypervisor. */
import * as z from "zod";
import { SerialDevice, serialDevices } from "#runtime/console/devices.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { reasonsFor } from "#runtime/libvirt/definitions.ts";
import { readRunning } from "#runtime/libvirt/domain/running.ts";
import { DomainName } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Show where a domain's serial consoles are on the hypervisor",
  input: z.strictObject({ name: DomainName }),
  output: z.object({
    name: z.string(),
    device: z.string().nullable().describe("path of the first one that has a path"),
    serials: z.array(SerialDevice),
    reasons: z.record(z.string(), z.string()).describe("why a list is old or empty, by field"),
  }),
  message: ({ name, device }) =>
    device === null ? `Domain ${name} has no serial device` : `Domain ${name} has ${device}`,
  examples: [{ name: "my-vm" }],

  async run({ name }, ctx) {
    const { domain, stuck } = await readRunning(ctx, name);
    const serials = serialDevices(domain);
    const device = serials.find(({ path }) => path !== null)?.path ?? null;
    return { name, device, serials, reasons: reasonsFor(["serials"], stuck) };
  },
});
