/** Whose jobs a caller may see and cancel. */
import { type Caller, forbidden, identityOf } from "../access/caller.ts";
import type { Owner } from "../jobs/query.ts";

/** Undefined for everybody's: those of an administrator who is limited to nothing. Others see their own. */
export function ownerOf(caller: Caller): Owner | undefined {
  const { role, hosts, domains } = caller;
  return role === "admin" && !hosts && !domains ? undefined : identityOf(caller);
}

/** What tells of everybody's domains and jobs is for those who are limited to none. */
export function checkUnlimited(caller: Caller) {
  const { hosts, domains } = caller;
  if (!hosts && !domains) return;
  const text =
    "may not see or change what tells of all hypervisors and domains, since it is limited";
  throw forbidden(caller, hosts ? "host:*" : "domain:*", text);
}
