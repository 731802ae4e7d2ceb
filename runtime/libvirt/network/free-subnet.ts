/** The choice of a subnet for a network that comes without one. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { unlessGone } from "../../hypervisor/outcomes.ts";
import { lines } from "../virsh-output.ts";
import { children, parseXml } from "../xml.ts";
import { addressOf, type BridgeAddress, overlap } from "./subnet.ts";

export interface DhcpRange {
  start: string;
  end: string;
}

/**
 * A /24 of 192.168.100.0 to 192.168.254.0 that no network of this hypervisor has, with a DHCP range over its
 * hosts. Addresses that the hypervisor itself uses elsewhere are not seen here; the network then fails to start.
 */
export async function freeSubnet({
  virsh,
}: Pick<Context, "virsh">): Promise<[BridgeAddress, DhcpRange]> {
  const names = lines(await virsh(["net-list", "--all", "--name"]));
  const dumps = await virsh.settled(names.map((name) => ["net-dumpxml", "--network", name]));
  const definitions = dumps.map(unlessGone).filter((text) => text !== undefined);
  const taken = definitions
    .flatMap((text) => children(parseXml(text, "network"), "ip"))
    .map(addressOf)
    .filter(({ family }) => family === "ipv4");
  for (let third = 100; third < 255; third++) {
    const address: BridgeAddress = { family: "ipv4", address: `192.168.${third}.1`, prefix: 24 };
    if (!taken.some((other) => overlap(address, other)))
      return [address, { start: `192.168.${third}.2`, end: `192.168.${third}.254` }];
  }
  throw new HyperError(
    "in_use",
    "subnet: all of 192.168.100.0/24 to 192.168.254.0/24 are in use; give one",
  );
}
