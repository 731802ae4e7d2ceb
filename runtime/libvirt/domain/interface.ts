/** The network interfaces of a domain's definition. */
import * as z from "zod";
import { attribute, children, type Element, parseXml } from "../xml.ts";

const Text = z.string().nullable();

export const DomainInterface = z.object({
  mac: Text,
  type: z.string(),
  source: Text,
  model: Text,
  device: Text,
});

export function readInterfaces(domain: Element): z.output<typeof DomainInterface>[] {
  return children(domain, "devices", "interface").map((nic) => ({
    mac: attribute(nic, "address", "mac") ?? null,
    type: `${nic["@type"]}`,
    source: sourceOf(nic),
    model: attribute(nic, "type", "model") ?? null,
    device: attribute(nic, "dev", "target") ?? null,
  }));
}

/** The hypervisor's device, the network or the bridge that the interface is connected to. */
function sourceOf(nic: Element): string | null {
  const names = ["dev", "network", "bridge", "name"].map((key) => attribute(nic, key, "source"));
  return names.find(Boolean) ?? null;
}

/** The `<interface>` with a MAC address (in lower case) in a domain's XML. */
export function findInterface(definition: string, mac: string): Element | undefined {
  const nics = children(parseXml(definition, "domain"), "devices", "interface");
  return nics.find((nic) => `${attribute(nic, "address", "mac")}`.toLowerCase() === mac);
}
