/** What functions share about domains: which one a name means, and what it is made of. */
import { randomBytes } from "node:crypto";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { keyValues, lines } from "../virsh-output.ts";
import { children, type Element, parseXml } from "../xml.ts";

/**
 * The words for `--domain`. virsh tries a number as an ID first, so a domain with such a name is looked up
 * by its UUID; every other name stands for itself and costs no round trip.
 */
export async function domainRef({ virsh }: Pick<Context, "virsh">, name: string): Promise<string> {
  if (!/^\s*\+?\d+$/.test(name)) return name;
  const found = (await listDomains({ virsh }, "--all")).find((domain) => domain.name === name);
  if (found) return found.uuid;
  throw new HyperError("not_found", `Domain not found: no domain with matching name '${name}'`);
}

/** The domains that `virsh list` shows with these options; rows are `UUID NAME`, the name as it is. */
export async function listDomains({ virsh }: Pick<Context, "virsh">, ...options: string[]) {
  const rows = lines(await virsh(["list", "--uuid", "--name", ...options]));
  return rows.map((row) => ({ uuid: row.slice(0, 36), name: row.slice(37) }));
}

/** Where a change to a domain must go: to what runs, to what is stored, or to both. */
export interface DomainState {
  live: boolean;
  persistent: boolean;
}

/** From the text of `dominfo`. */
export function domainState(dominfo: string): DomainState {
  const { State, Persistent } = keyValues(dominfo);
  return { live: State !== "shut off" && State !== "crashed", persistent: Persistent === "yes" };
}

/** The virsh options for a change: `--live`, `--config` or both. */
export function affectFlags({ live, persistent }: DomainState): string[] {
  return [...(live ? ["--live"] : []), ...(persistent ? ["--config"] : [])];
}

/** The `<interface>` with a MAC address in a domain's XML. */
export function findInterface(definition: string, mac: string): Element | undefined {
  const interfaces = children(parseXml(definition, "domain"), "devices", "interface");
  return interfaces.find((one) => `${children(one, "mac")[0]?.["@address"]}`.toLowerCase() === mac);
}

/** QEMU's own prefix, three random bytes. */
export function randomMac(): string {
  return `52:54:00:${randomBytes(3).toString("hex").match(/../g)?.join(":")}`;
}
