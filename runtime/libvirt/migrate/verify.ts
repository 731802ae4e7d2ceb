/** Compares what the target's libvirt has defined with what the source has. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { nvramFile, SYSTEM_FOLDER } from "../clone/nvram.ts";
import { attribute, children, type Element, parseXml, textOf } from "../xml.ts";
import { XmlDocument } from "../xml-document.ts";

/** What must arrive as it is; a newer libvirt may add to the rest. */
function essence(text: string) {
  const domain = parseXml(text, "domain");
  const devices = children(domain, "devices");
  const all = (name: string) => devices.flatMap((one) => children(one, name));
  return {
    name: textOf(domain, "name"),
    uuid: textOf(domain, "uuid"),
    memory: textOf(domain, "memory"),
    vcpus: textOf(domain, "vcpu"),
    machine: attribute(domain, "machine", "os", "type"),
    cpu: [attribute(domain, "mode", "cpu"), textOf(domain, "cpu", "model")],
    nvram: nvramFile(new XmlDocument(text), SYSTEM_FOLDER)?.path, // a later libvirt stores what it chooses
    metadata: contentOf(children(domain, "metadata")),
    disks: all("disk").map((one) => [
      attribute(one, "dev", "target"),
      attribute(one, "type", "driver"),
    ]),
    interfaces: all("interface").map((one) => attribute(one, "address", "mac")),
  };
}

/** libvirt indents what is within metadata anew, each release in its own way. */
const contentOf = (elements: Element[]) =>
  JSON.stringify(elements, (key, value) => (key === "#text" && !value.trim() ? undefined : value));

/** Whether there are at least as many of each kind: libvirt from 9.1 on adds a watchdog to q35, others may add more. */
function hasAllKinds(wanted: Element, found: Element): boolean {
  const [all, given] = [wanted, found].map((domain) => children(domain, "devices")[0] ?? {});
  const count = (list: unknown) => (list === undefined ? 0 : Array.isArray(list) ? list.length : 1);
  return Object.entries(all ?? {}).every(([kind, list]) => count(given?.[kind]) >= count(list));
}

/** Throws with what differs. */
export async function assertSame({ virsh, host }: Context, uuid: string, wanted: string) {
  const text = await virsh(["dumpxml", "--domain", uuid, "--inactive", "--security-info"]);
  const [one, other] = [parseXml(wanted, "domain"), parseXml(text, "domain")];
  const [source, target] = [essence(wanted), essence(text)];
  const differs: string[] = Object.keys(source).filter((key) => {
    const [a, b] = [source, target].map((one) => JSON.stringify(one[key as keyof typeof one]));
    return a !== b;
  });
  if (!hasAllKinds(one, other)) differs.push("devices");
  if (differs.length === 0) return;
  const what = `libvirt of ${host} has defined the domain with other ${differs.join(", ")}`;
  throw new HyperError("unsupported", what);
}
