/** The definition of a network that is to be created. */
import type { Context } from "../../hypervisor/context.ts";
import { type Xml, xml } from "../xml.ts";
import { type DhcpRange, freeSubnet } from "./free-subnet.ts";
import { type BridgeAddress, bridgeAddress } from "./subnet.ts";

export interface NetworkRequest {
  name: string;
  forward: "nat" | "route" | "open" | "bridge" | "none";
  bridge?: string | undefined;
  /** The bridge's address, with or without a prefix. */
  subnet?: string | undefined;
  ip_start?: string | undefined;
  ip_end?: string | undefined;
}

/** A network that routes needs an address: without one in the request it gets a free subnet with DHCP. */
export async function networkDefinition(
  ctx: Pick<Context, "virsh">,
  request: NetworkRequest,
): Promise<Xml> {
  const { name, forward, bridge } = request;
  const [address, dhcp] =
    isRouted(forward) && !request.subnet ? await freeSubnet(ctx) : addressesOf(request);
  return xml`<network>
  <name>${name}</name>
  ${forwardElement(forward, address)}
  ${bridge && xml`<bridge name="${bridge}"/>`}
  ${address && ipElement(address, dhcp)}
</network>`;
}

const isRouted = (forward: NetworkRequest["forward"]) =>
  forward === "nat" || forward === "route" || forward === "open";

function addressesOf({ subnet, ip_start, ip_end }: NetworkRequest) {
  const address = subnet ? bridgeAddress(subnet) : undefined;
  const dhcp = ip_start && ip_end ? { start: ip_start, end: ip_end } : undefined;
  return [address, dhcp] as const;
}

/** libvirt masquerades IPv6 only when the definition says so. */
function forwardElement(forward: NetworkRequest["forward"], address: BridgeAddress | undefined) {
  if (forward === "none") return undefined;
  const nat = forward === "nat" && address?.family === "ipv6" && xml`<nat ipv6="yes"/>`;
  return xml`<forward mode="${forward}">${nat}</forward>`;
}

function ipElement({ family, address, prefix }: BridgeAddress, dhcp: DhcpRange | undefined) {
  return xml`<ip family="${family}" address="${address}" prefix="${prefix}">
    ${dhcp && xml`<dhcp><range start="${dhcp.start}" end="${dhcp.end}"/></dhcp>`}
  </ip>`;
}
