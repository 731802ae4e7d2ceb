/** The MAC addresses that domains have, as they run and at their next start. */
import { memoizePerObject } from "../../core/memoize.ts";
import type { Context } from "../../hypervisor/context.ts";
import type { Definition } from "../definition-memory.ts";
import { parseXml, textOf } from "../xml.ts";
import { readEvery } from "./every.ts";
import { readInterfaces } from "./interface.ts";

/** The names of the domains that have an address, by the address in lower case. */
export type Macs = Map<string, string[]>;

/** Throws for a definition that cannot be read. */
export async function readMacs(ctx: Context): Promise<Macs> {
  const owners: Macs = new Map();
  for (const read of await readEvery(ctx)) {
    const { name, macs } = macsIn(read);
    for (const mac of macs) owners.set(mac, [...(owners.get(mac) ?? []), name]);
  }
  return owners;
}

const macsIn = memoizePerObject(({ text }: Definition) => {
  const domain = parseXml(text, "domain");
  const macs = readInterfaces(domain).flatMap(({ mac }) => mac?.toLowerCase() ?? []);
  return { name: textOf(domain, "name") ?? "", macs };
});
