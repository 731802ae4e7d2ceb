/** POST /console/ticket: a word that opens one console once, for browsers, which send no token with a WebSocket. */
import * as z from "zod";
import { checkCall } from "#runtime/access/caller.ts";
import { issueTicket, TICKET_SECONDS } from "#runtime/access/tickets.ts";
import { consolePath, KINDS } from "#runtime/console/paths.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { DomainName } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "POST",
  access: "read",
  summary: "Get a ticket that opens one console once",
  status: 201,
  input: z.strictObject({
    name: DomainName,
    kind: z.enum(KINDS).describe("vnc: a screen; serial: the serial console"),
    view: z
      .boolean()
      .default(false)
      .describe("only watch; without it the caller needs the access operate"),
  }),
  output: z.object({
    ticket: z.string().describe(`opens it once, within ${TICKET_SECONDS} s, as ?ticket=`),
    expires: z.iso.datetime(),
    page: z.string().describe("path of the page, with the ticket"),
  }),
  message: ({ expires }, { name, kind }) => `The ${kind} console of ${name} opens until ${expires}`,
  examples: [
    { name: "my-vm", kind: "vnc", view: true },
    { name: "my-vm", kind: "serial" },
  ],

  async run({ name, kind, view }, ctx) {
    const { caller, host, requestedHosts } = ctx;
    const path = `/console/${kind}`;
    checkCall(caller, path, view ? "read" : "operate");
    await ctx.virsh(["domstate", "--domain", await domainRef(ctx, name)]); // throws where it is not there
    const { ticket, expires } = issueTicket({ caller, path, host, name, view });
    const more = { ...(view && { view: "true" }), ...(requestedHosts && { host }), ticket };
    return { ticket, expires: expires.toISOString(), page: consolePath(kind, name, more) };
  },
});
