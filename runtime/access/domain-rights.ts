/** Which domains a caller may see and touch, on each hypervisor. */
import { type Caller, maySee } from "./caller.ts";

export interface DomainRights {
  /** False, too, for a domain of which it is not known, and, where a query selects them, for one that was not looked up. */
  sees(host: string, name: string): boolean;
  /**
   * Reads which of these domains of a hypervisor, or of all there, a query selects; once for each call. Nothing is read
   * where patterns of names decide. Throws `forbidden`, and the reason why it cannot be known.
   */
  lookUp(host: string, names?: string[]): Promise<void>;
  /**
   * Throws `forbidden` unless the domain is selected still, and the reason where that cannot be known: for what is to be
   * done some time after the look-up. `ref`: the word for `--domain`, where the name alone may be another's by now.
   * Nothing is read where patterns of names decide.
   */
  checkAgain(host: string, name: string, ref?: string): Promise<void>;
  /** Whether other domains are selected by now than when they were looked up. */
  haveChanged(): Promise<boolean>;
}

/** Of a caller with a query they are none: libvirt/inventory/selected-domains.ts reads those. */
export const rightsByName = (caller: Caller): DomainRights => ({
  sees: (_host, name) => maySee(caller, name),
  lookUp: async () => {},
  checkAgain: async () => {},
  haveChanged: async () => false,
});
