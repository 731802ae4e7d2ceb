/** Domains in errors and answers: a caller who is limited to some learns no other's name. */
import { describeLimit, forbidden } from "../access/caller.ts";
import type { HyperError } from "../core/errors.ts";
import type { Context } from "../hypervisor/context.ts";

type Viewer = Pick<Context, "rights" | "host">;

/** `domain web`, or `another domain`. `kind`: such as `the running domain`. */
export const nameFor = ({ rights, host }: Viewer, domain: string, kind = "domain") =>
  rights.sees(host, domain) ? `${kind} ${domain}` : "another domain";

/** Those of these domains that the caller may see. */
export const shownTo = ({ rights, host }: Viewer, domains: string[]) =>
  domains.filter((domain) => rights.sees(host, domain));

/** The error for an image, be it named or below one that is, that a domain has which is not the caller's. */
export function foreignImage({ caller }: Pick<Context, "caller">, image: string): HyperError {
  const text = `may not use ${image}, which is of another domain; it is limited to ${describeLimit(caller)}`;
  return forbidden(caller, `image:${image}`, text);
}
