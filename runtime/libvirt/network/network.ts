/** A network as libvirt knows it. */
import * as z from "zod";
import type { Context } from "../../hypervisor/context.ts";
import { keyValues } from "../virsh-output.ts";
import { attribute, children, parseXml, textOf } from "../xml.ts";
import { addressOf } from "./subnet.ts";

const Range = z.object({ start: z.string(), end: z.string() });

export const Network = z
  .object({
    name: z.string(),
    uuid: z.string(),
    active: z.boolean(),
    persistent: z.boolean(),
    autostart: z.boolean(),
    bridge: z.string().nullable().describe("on the hypervisor; null when the network has none"),
    forward: z.string().describe('nat, route, open, bridge, hostdev …; "none" when it is isolated'),
    domain: z.string().nullable(),
    mtu: z.number().nullable(),
    ips: z.array(
      z.object({
        family: z.enum(["ipv4", "ipv6"]),
        address: z.string(),
        prefix: z.int(),
        dhcp: z.array(Range),
      }),
    ),
  })
  .meta({ id: "Network" });

/** One round trip. Throws `not_found`. */
export async function readNetwork(
  { virsh }: Pick<Context, "virsh">,
  name: string,
): Promise<z.input<typeof Network>> {
  const [info = "", definition = ""] = await virsh.all([
    ["net-info", "--network", name],
    ["net-dumpxml", "--network", name],
  ]);
  const { Active, Persistent, Autostart } = keyValues(info);
  const network = parseXml(definition, "network");
  const mtu = attribute(network, "size", "mtu");
  return {
    name: textOf(network, "name") ?? name,
    uuid: textOf(network, "uuid") ?? "",
    active: Active === "yes",
    persistent: Persistent === "yes",
    autostart: Autostart === "yes",
    bridge: attribute(network, "name", "bridge") ?? null,
    forward:
      children(network, "forward").length > 0
        ? (attribute(network, "mode", "forward") ?? "nat")
        : "none",
    domain: attribute(network, "name", "domain") ?? null,
    mtu: mtu ? Number(mtu) : null,
    ips: children(network, "ip").map((ip) => ({
      ...addressOf(ip),
      dhcp: children(ip, "dhcp", "range").map((range) => ({
        start: `${range["@start"]}`,
        end: `${range["@end"]}`,
      })),
    })),
  };
}
