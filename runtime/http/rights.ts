/** Which domains the caller of one call may touch. */
import { type Caller, forbidden } from "../access/caller.ts";
import { type DomainRights, rightsByName } from "../access/domain-rights.ts";

/**
 * Anew for each call, since tags change. Throws `forbidden` for a query that no token may have. The module that reads
 * tags is loaded with the first caller who needs it.
 */
export async function rightsOf(caller: Caller): Promise<DomainRights> {
  if (caller.select === undefined) return rightsByName(caller);
  const { SelectedDomains } = await import("../libvirt/inventory/selected-domains.ts");
  try {
    return new SelectedDomains(caller, caller.select);
  } catch (error) {
    throw forbidden(caller, "token", `may do nothing: ${(error as Error).message}`); // its file was written by hand
  }
}
