/** The step of a request that looks at what it is about: the hypervisors that it names, and the domains of its input. */
import { checkHost, mayUse } from "../access/caller.ts";
import { checkDomains, type Declaration } from "../access/domain-scope.ts";
import { uriOf } from "../core/settings.ts";
import type { Call } from "./call.ts";
import { isOfAll, oneHypervisorOnly, oneOnly, severalHosts } from "./fleet.ts";

/**
 * Throws `forbidden` where the caller may not use the hypervisor or touch a domain of the input. Returns the
 * hypervisors of a call that names several, as far as the caller may use them.
 */
export function authorise(
  { caller, path, requestedHost, host, input, settings }: Call,
  spec: Declaration & { media?: string },
): string[] | undefined {
  if (!caller) throw new Error("a call that was not admitted");
  const about = requestedHost !== undefined || !isOfAll(spec);
  const all = requestedHost === "*" && spec.scope !== "server"; // the caller's own are chosen from them below
  const named = !about || all ? [] : host.split(",").map((alias) => alias.trim());
  for (const alias of named) checkHost(caller, alias);
  checkDomains(caller, path, spec, input as object);
  if (requestedHost === undefined) return undefined;
  const several = spec.scope === "server" ? undefined : severalHosts(requestedHost, settings);
  if (!several)
    uriOf(host); // an unknown alias is refused before it takes a place
  else if (spec.access !== "read") throw oneHypervisorOnly();
  else if ((spec.stream === "sse" || spec.media) && spec.scope !== "fleet") throw oneOnly(spec);
  return several?.filter((alias) => mayUse(caller, alias));
}
