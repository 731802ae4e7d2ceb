/** The addresses that libvirt's own DHCP servers have given, of all networks of a hypervisor by one question. */
import type { Context } from "../../hypervisor/context.ts";
import { lines } from "../virsh-output.ts";

const ROW = / ([0-9a-f]{2}(?::[0-9a-f]{2}){5}) +ipv[46] +([0-9a-f.:]+)\/\d+ /i;

/** By MAC address, in lower case. A network that has none, or whose driver knows none, tells nothing. */
export async function readLeases(
  { virsh }: Pick<Context, "virsh">,
  networks: string[],
): Promise<Map<string, string[]>> {
  if (networks.length === 0) return new Map();
  const commands = networks.map((network) => ["net-dhcp-leases", "--network", network]);
  const leases = new Map<string, string[]>();
  for (const table of await virsh.settled(commands)) {
    if (typeof table !== "string") continue;
    for (const row of lines(table)) {
      const [, mac = "", address = ""] = ROW.exec(`${row} `) ?? [];
      if (address)
        leases.set(mac.toLowerCase(), [...(leases.get(mac.toLowerCase()) ?? []), address]);
    }
  }
  return leases;
}
