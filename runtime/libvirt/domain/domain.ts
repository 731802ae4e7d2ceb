/** Which domain a name means, which domains there are, and where a change to one must go. */
import { randomBytes } from "node:crypto";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { keyValues, lines } from "../virsh-output.ts";

/**
 * The words for `--domain`. virsh tries a number as an ID first, so a domain with such a name is looked up
 * by its UUID; every other name stands for itself and costs no round trip.
 */
export async function domainRef({ virsh }: Pick<Context, "virsh">, name: string): Promise<string> {
  if (!/^\s*\+?\d+$/.test(name)) return name;
  const domains = await listDomains({ virsh }, "--all");
  const named = domains.find((domain) => domain.name === name);
  if (named) return named.uuid;
  throw new HyperError("not_found", `Domain not found: no domain with matching name '${name}'`);
}

/** The domains that `virsh list` shows with these options; rows are `UUID NAME`, the name as it is. */
export async function listDomains({ virsh }: Pick<Context, "virsh">, ...options: string[]) {
  const rows = lines(await virsh(["list", "--uuid", "--name", ...options]));
  return rows.map((row) => ({ uuid: row.slice(0, 36), name: row.slice(37) }));
}

/** A change goes to the running domain, to its stored definition, or to both. */
export interface DomainState {
  live: boolean;
  persistent: boolean;
}

/** From the text of `dominfo`. */
export function domainState(dominfo: string): DomainState {
  const { State, Persistent } = keyValues(dominfo);
  return { live: State !== "shut off" && State !== "crashed", persistent: Persistent === "yes" };
}

/** The name as it is, with spaces at its end, from the text of `dominfo`. */
export const nameIn = (dominfo: string) => dominfo.match(/^Name: {11}(.*)$/m)?.[1];

/** The virsh options for a change: `--live`, `--config` or both. */
export function affectFlags({ live, persistent }: DomainState): string[] {
  return [...(live ? ["--live"] : []), ...(persistent ? ["--config"] : [])];
}

/** A MAC address with QEMU's prefix and three random bytes. */
export function randomMac(): string {
  return `52:54:00:${randomBytes(3).toString("hex").match(/../g)?.join(":")}`;
}
