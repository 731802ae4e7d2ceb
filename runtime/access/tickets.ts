/**
 * Tickets: a browser sends no header of ours with a WebSocket, so a caller who may open a console gets a word that opens
 * that one console once, soon. They are in this process's memory alone.
 */
import { randomBytes } from "node:crypto";
import { HyperError } from "../core/errors.ts";
import type { Caller } from "./caller.ts";

export const TICKET_SECONDS = 30;
const MAX_TICKETS = 10_000;

/** What a ticket opens. */
export interface Grant {
  caller: Caller;
  /** The function's path. */
  path: string;
  /** The hypervisor's alias. */
  host: string;
  /** The domain's name, as the caller writes it. */
  name: string;
  /** It watches, and does not type. */
  view: boolean;
}

const tickets = new Map<string, Grant & { expires: number }>();

/** Throws `busy` when too many wait to be used. */
export function issueTicket(grant: Grant): { ticket: string; expires: Date } {
  const now = Date.now();
  for (const [ticket, { expires }] of tickets) if (expires <= now) tickets.delete(ticket);
  if (tickets.size >= MAX_TICKETS)
    throw new HyperError("busy", `${MAX_TICKETS} tickets wait to be used; try again in 30 s`);
  const ticket = randomBytes(24).toString("base64url");
  const expires = now + TICKET_SECONDS * 1000;
  tickets.set(ticket, { ...grant, expires });
  return { ticket, expires: new Date(expires) };
}

/** The grant of a ticket for this path. Throws `forbidden`. `use`: it cannot be shown again. */
export function readTicket(ticket: string, asked: Omit<Grant, "caller">, use: boolean): Grant {
  const grant = tickets.get(ticket);
  if (use) tickets.delete(ticket);
  if (!grant || grant.expires <= Date.now())
    throw refused(`the ticket is unknown, older than ${TICKET_SECONDS} s, or was used`);
  const { path, host, name, view } = grant;
  const fits = path === asked.path && host === asked.host && name === asked.name;
  if (!fits || (view && !asked.view)) throw refused("the ticket is for another console");
  return grant;
}

const refused = (text: string) =>
  new HyperError("forbidden", `${text}; POST /console/ticket gives one`, {
    details: { missing: "ticket" },
  });
