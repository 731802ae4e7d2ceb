/** GET /console/serial?name=: a page with a domain's serial console; a WebSocket to the same path is the console itself. */
import * as z from "zod";
import { checkCall } from "#runtime/access/caller.ts";
import { Force, TicketField, ViewOnly } from "#runtime/console/input.ts";
import { pageHeaders, pageOf } from "#runtime/console/page.ts";
import { connectSerial } from "#runtime/console/serial.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { DomainName } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Show a domain's serial console in the browser",
  input: z.strictObject({
    name: DomainName,
    device: z
      .string()
      .regex(/^[a-z][a-z0-9._-]{0,63}$/, "must be a device such as serial0")
      .optional()
      .describe("serial0, console1 …; the first unless given"),
    view: ViewOnly,
    force: Force,
    ticket: TicketField,
  }),
  output: z.string(),
  message: null,
  media: "text/html; charset=utf-8",
  headers: () => pageHeaders("serial"),
  examples: [{ name: "my-vm" }],

  run: () => pageOf("serial"),

  async upgrade({ name, device, view, force }, ctx) {
    if (!view) checkCall(ctx.caller, "/console/serial", "operate");
    return connectSerial(ctx, { name, device, view, force });
  },
});
