/** The MAC addresses that domains have, as they run and at their next start. */
import { HyperError } from "../../core/errors.ts";
import { memoizePerObject } from "../../core/memoize.ts";
import type { Context } from "../../hypervisor/context.ts";
import { readDefinitionFiles } from "../definition-files.ts";
import type { Definition } from "../definition-memory.ts";
import { readChanged } from "../definitions.ts";
import { lines } from "../virsh-output.ts";
import { parseXml, textOf } from "../xml.ts";
import { readInterfaces } from "./interface.ts";

/** The names of the domains that have an address, by the address in lower case. */
export type Macs = Map<string, string[]>;

/** Throws for a definition that cannot be read. */
export async function readMacs(ctx: Context): Promise<Macs> {
  const [all = "", active = ""] = await ctx.virsh.all([
    ["list", "--all", "--uuid"],
    ["list", "--uuid"],
  ]);
  const files = readDefinitionFiles(ctx);
  const definitions = await Promise.all([
    readChanged(ctx, lines(all), undefined, files),
    readChanged(ctx, lines(active), "--inactive", files),
  ]);
  const owners: Macs = new Map();
  for (const read of definitions.flat()) {
    if (read instanceof HyperError && read.code === "not_found") continue; // it has gone meanwhile
    if (read instanceof HyperError) throw read;
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
