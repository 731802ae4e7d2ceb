/** What libvirt says of a network, and what its definition looks like. */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { unlessGone } from "../../hypervisor/outcomes.ts";
import { keyValues, lines } from "../virsh-output.ts";
import { attribute, children, parseXml, textOf } from "../xml.ts";
import { type BridgeAddress, overlap } from "./subnet.ts";

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
      family: ip["@family"] === "ipv6" ? "ipv6" : "ipv4",
      address: `${ip["@address"]}`,
      prefix: prefixOf(ip["@prefix"], ip["@netmask"]),
      dhcp: children(ip, "dhcp", "range").map((range) => ({
        start: `${range["@start"]}`,
        end: `${range["@end"]}`,
      })),
    })),
  };
}

/** libvirt keeps what was written: a prefix length or a netmask. */
function prefixOf(prefix: unknown, netmask: unknown): number {
  if (typeof prefix === "string") return Number(prefix);
  const bits = `${netmask}`
    .split(".")
    .map((part) => Number(part).toString(2).replaceAll("0", "").length);
  return bits.reduce((sum, count) => sum + count, 0);
}

/**
 * A /24 of 192.168.100.0 to 192.168.254.0 that no network of this hypervisor has, with a DHCP range over
 * its hosts. An address that the hypervisor itself uses elsewhere is found when the network starts.
 */
export async function freeSubnet({
  virsh,
}: Pick<Context, "virsh">): Promise<[BridgeAddress, { start: string; end: string }]> {
  const names = lines(await virsh(["net-list", "--all", "--name"]));
  const all = await virsh.settled(names.map((name) => ["net-dumpxml", "--network", name]));
  const texts = all.map(unlessGone).filter((text) => text !== undefined);
  const taken = texts.flatMap((text) => children(parseXml(text, "network"), "ip"));
  for (let third = 100; third < 255; third++) {
    const address: BridgeAddress = { family: "ipv4", address: `192.168.${third}.1`, prefix: 24 };
    const overlaps = taken.some((ip) => {
      const other = {
        address: `${ip["@address"]}`,
        prefix: prefixOf(ip["@prefix"], ip["@netmask"]),
      };
      return ip["@family"] !== "ipv6" && overlap(address, other);
    });
    if (!overlaps) return [address, { start: `192.168.${third}.2`, end: `192.168.${third}.254` }];
  }
  throw new HyperError(
    "in_use",
    "subnet: all of 192.168.100.0/24 to 192.168.254.0/24 are in use; give one",
  );
}
