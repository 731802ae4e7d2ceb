/** GET /console/vnc?name=: a page with a domain's screen; a WebSocket to the same path is its VNC display. */
import * as z from "zod";
import { checkCall } from "#runtime/access/caller.ts";
import { connectDisplay } from "#runtime/console/display.ts";
import { TicketField, ViewOnly } from "#runtime/console/input.ts";
import { pageHeaders, pageOf } from "#runtime/console/page.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { DomainName } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Show a domain's screen in the browser",
  input: z.strictObject({
    name: DomainName,
    screen: z.int().min(0).max(15).optional().describe("0, 1 …; the first of VNC unless given"),
    view: ViewOnly,
    ticket: TicketField,
  }),
  output: z.string(),
  message: null,
  media: "text/html; charset=utf-8",
  headers: () => pageHeaders("vnc"),
  examples: [{ name: "my-vm" }],

  run: () => pageOf("vnc"),

  async upgrade({ name, screen, view }, ctx) {
    if (!view) checkCall(ctx.caller, "/console/vnc", "operate");
    return connectDisplay(ctx, { name, screen, view });
  },
});
