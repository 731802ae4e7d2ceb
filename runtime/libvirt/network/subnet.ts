/** The addresses of a virtual network: the bridge's own with its prefix, and a DHCP range within. */
import ipaddr from "ipaddr.js";
import * as z from "zod";
import type { Element } from "../xml.ts";

/** One IPv4 or IPv6 address. */
export const Address = z.union([z.ipv4(), z.ipv6()], { error: "must be an IPv4 or IPv6 address" });

/** The bridge's address, with or without a prefix: `192.168.100.1`, `192.168.100.1/26`, `fd00::1/64`. */
export const Subnet = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], {
  error: "must be the bridge's IPv4 or IPv6 address, as 192.168.100.1 or 192.168.100.1/24",
});

export interface BridgeAddress {
  family: "ipv4" | "ipv6";
  address: string;
  prefix: number;
}

/** /24 for IPv4 and /64 for IPv6 unless written. */
export function bridgeAddress(subnet: string): BridgeAddress {
  const [address = "", prefix] = subnet.split("/");
  const family = ipaddr.parse(address).kind();
  return { family, address, prefix: Number(prefix ?? (family === "ipv4" ? 24 : 64)) };
}

/** The bridge's address in an `<ip>` of a network's definition. */
export function addressOf(ip: Element): BridgeAddress {
  const family = ip["@family"] === "ipv6" ? "ipv6" : "ipv4";
  const [address, prefix, netmask] = [`${ip["@address"]}`, ip["@prefix"], ip["@netmask"]];
  if (typeof prefix === "string") return { family, address, prefix: Number(prefix) };
  if (typeof netmask === "string") return { family, address, prefix: bitsOf(netmask) };
  return { family, address, prefix: family === "ipv6" ? 64 : classPrefix(address) };
}

/** The number of ones in a netmask. */
function bitsOf(netmask: string): number {
  const bits = netmask
    .split(".")
    .map((part) => Number(part).toString(2).replaceAll("0", "").length);
  return bits.reduce((sum, count) => sum + count, 0);
}

/** Without prefix and netmask libvirt takes the address's class. Above class C it has none, and nothing starts. */
function classPrefix(address: string): number {
  const first = Number.parseInt(address, 10);
  if (first < 128) return 8;
  if (first < 192) return 16;
  return first < 224 ? 24 : 32;
}

/** The problem with a bridge's address as a sentence, or undefined. */
export function bridgeProblem({ family, address, prefix }: BridgeAddress): string | undefined {
  const longest = family === "ipv4" ? 30 : 126;
  if (prefix < 1 || prefix > longest) return `the prefix must be 1 to ${longest}, not ${prefix}`;
  const [first, last] = edges(family, address, prefix);
  const bytes = ipaddr.parse(address).toByteArray();
  if (compare(bytes, first) === 0 || (family === "ipv4" && compare(bytes, last) === 0)) {
    return `${address}/${prefix} is no address for a bridge; give one of its hosts, such as the first`;
  }
  return undefined;
}

/** The problem with a DHCP range as a sentence, or undefined. */
export function rangeProblem(
  bridge: BridgeAddress,
  start: string,
  end: string,
): string | undefined {
  const [from, to] = [ipaddr.parse(start), ipaddr.parse(end)];
  const subnet = `${bridge.address}/${bridge.prefix}`;
  const [first, last] = edges(bridge.family, bridge.address, bridge.prefix);
  for (const [text, ip] of [
    [start, from],
    [end, to],
  ] as const) {
    if (ip.kind() !== bridge.family) return `${text} is not of the same family as ${subnet}`;
    const [low, high] = [compare(ip.toByteArray(), first), compare(ip.toByteArray(), last)];
    if (low <= 0 || high > 0 || (high === 0 && bridge.family === "ipv4")) {
      return `${text} is not a host address of ${subnet}`;
    }
  }
  if (compare(from.toByteArray(), to.toByteArray()) > 0) return `${end} comes before ${start}`;
  return undefined;
}

/** libvirt 9.0 calls every range too large whose ends differ in more than their last two bytes, however short. */
export function rangeSizeProblem(start: string, end: string): string | undefined {
  const [from, to] = [ipaddr.parse(start).toByteArray(), ipaddr.parse(end).toByteArray()];
  if (compare(from.slice(0, -2), to.slice(0, -2)) === 0) return undefined;
  const block = from.length === 4 ? 16 : 112;
  return `${start} to ${end} is too large for libvirt: a range must lie within one /${block}, at most 65536 addresses`;
}

/** Whether two IPv4 subnets share addresses. */
export function overlap(
  a: Pick<BridgeAddress, "address" | "prefix">,
  b: Pick<BridgeAddress, "address" | "prefix">,
): boolean {
  return ipaddr.IPv4.parse(a.address).match(
    ipaddr.IPv4.parse(b.address),
    Math.min(a.prefix, b.prefix),
  );
}

/** The first and the last address of a subnet, as bytes. */
function edges(family: "ipv4" | "ipv6", address: string, prefix: number): [number[], number[]] {
  const bytes = ipaddr.parse(address).toByteArray();
  const mask = (family === "ipv4" ? ipaddr.IPv4 : ipaddr.IPv6)
    .subnetMaskFromPrefixLength(prefix)
    .toByteArray();
  return [
    bytes.map((byte, i) => byte & (mask[i] ?? 0)),
    bytes.map((byte, i) => byte | (~(mask[i] ?? 0) & 255)),
  ];
}

function compare(a: number[], b: number[]): number {
  const at = a.findIndex((byte, i) => byte !== b[i]);
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}
