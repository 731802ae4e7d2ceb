/** The step of a request that looks at what it is about: the hypervisors that it names, and the domains of its input. */
import { checkHost, mayUse } from "../access/caller.ts";
import {
  checkDomains,
  checkFunction,
  type Declaration,
  domainFields,
} from "../access/domain-scope.ts";
import { uriOf } from "../core/settings.ts";
import type { Call } from "./call.ts";
import { isOfAll, oneHypervisorOnly, oneOnly, severalHosts } from "./fleet.ts";
import type { Admission } from "./limits.ts";
import { rightsOf } from "./rights.ts";

/**
 * Throws `forbidden` where the caller may not use the hypervisor or touch a domain of the input. Returns the
 * hypervisors of a call that names several, as far as the caller may use them.
 */
export async function authorise(
  call: Call,
  spec: Declaration & { media?: string },
): Promise<string[] | undefined> {
  const { caller, path, requestedHost, host, input, settings } = call;
  if (!caller) throw new Error("a call that was not admitted");
  call.rights = await rightsOf(caller);
  const about = requestedHost !== undefined || !isOfAll(spec);
  const all = requestedHost === "*" && spec.scope !== "server"; // the caller's own are chosen from them below
  const named = !about || all ? [] : host.split(",").map((alias) => alias.trim());
  for (const alias of named) checkHost(caller, alias);
  checkFunction(caller, path, spec);
  const hosts = severalOf(requestedHost, spec, settings)?.filter((alias) => mayUse(caller, alias));
  // a query selects other domains on each hypervisor, and is looked up when the call runs there
  const isLater = caller.select !== undefined && hosts && spec.scope !== "fleet";
  if (!isLater) await checkDomains(caller, call.rights, spec, input as object, hosts?.[0] ?? host);
  return hosts;
}

/**
 * Looks up, on one hypervisor, the domains that the input names, or all of them where it names none and the answer
 * lists some. Throws `forbidden`.
 */
export async function lookUp(call: Call, spec: Declaration, host: string) {
  const { caller, rights, input } = call;
  if (!caller) return;
  await checkDomains(caller, rights, spec, input as object, host);
  const { fields, lists } = domainFields(spec);
  if (fields.length === 0 && lists.length > 0) await rights.lookUp(host);
}

/** Waits for a place of the hypervisor. After a wait, tags that were read before it do not count. */
export async function enter(call: Call, places: Admission | undefined, host: string) {
  const turn = places?.enter(host);
  if (!turn) return;
  await turn;
  if (call.caller) call.rights = await rightsOf(call.caller);
}

function severalOf(
  requestedHost: string | undefined,
  spec: Declaration & { media?: string },
  settings: Call["settings"],
): string[] | undefined {
  if (requestedHost === undefined) return undefined;
  const several = spec.scope === "server" ? undefined : severalHosts(requestedHost, settings);
  if (!several)
    uriOf(requestedHost); // an unknown alias is refused before it takes a place
  else if (spec.access !== "read") throw oneHypervisorOnly();
  else if ((spec.stream === "sse" || spec.media) && spec.scope !== "fleet") throw oneOnly(spec);
  return several;
}
