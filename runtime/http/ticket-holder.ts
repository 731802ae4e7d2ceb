/** The caller of a request that shows a ticket in the place of a token. */
import type { Context } from "hono";
import type { Caller } from "../access/caller.ts";
import { readTicket } from "../access/tickets.ts";
import type { Call } from "./call.ts";
import { checkToken } from "./check-token.ts";
import { isUpgrade } from "./socket.ts";

/** Undefined where there is no ticket. A page leaves it for its socket, which uses it. Throws `forbidden`. */
export async function ticketHolder(c: Context, call: Call): Promise<Caller | undefined> {
  const ticket = c.req.query("ticket");
  if (ticket === undefined || !call.spec?.upgrade) return undefined;
  const asked = {
    path: call.path,
    host: call.host,
    name: c.req.query("name") ?? "",
    view: c.req.query("view") === "true" || c.req.query("view") === "1",
  };
  const { caller } = readTicket(ticket, asked, isUpgrade(c));
  await checkToken(caller);
  return caller;
}
