/** The boot order of a domain: kinds of devices in `<os>`, or an order of the devices themselves. */
import * as z from "zod";
import { HyperError } from "../../../core/errors.ts";
import { attribute, children, type Element, xml } from "../../xml.ts";
import { descend, type Span, type XmlDocument } from "../../xml-document.ts";

/** The kinds of devices, in libvirt's words. */
const KINDS: Record<string, string> = {
  disk: "hd",
  cdrom: "cdrom",
  network: "network",
  floppy: "fd",
};
const isKind = (name: string) => Object.hasOwn(KINDS, name);

export const Boot = z
  .array(
    z
      .string()
      .toLowerCase()
      .regex(
        /^([a-z]{2,12}|([0-9a-f]{2}:){5}[0-9a-f]{2})$/,
        "must be disk, cdrom, network, floppy, a disk's target such as vda, or an interface's MAC address",
      ),
  )
  .min(1, "must name at least one device")
  .max(32)
  .refine((names) => new Set(names).size === names.length, "must not name a device twice")
  .refine(
    (names) => new Set(names.map(isKind)).size < 2,
    `must name either kinds (${Object.keys(KINDS).join(", ")}) or single devices: libvirt takes no mixture`,
  )
  .describe(
    "disk, cdrom, network and floppy in their order, or targets of disks and MACs of interfaces",
  );

/** The name of a device in a boot order: a disk's target, an interface's MAC. */
const nameOf = (kind: string, device: Element) =>
  kind === "disk" ? attribute(device, "dev", "target") : attribute(device, "address", "mac");

const kindOf = (word: string) => Object.keys(KINDS).find((kind) => KINDS[kind] === word) ?? word;

/** The boot order of a definition, in the words of `Boot`; a passed-through device in it is `hostdev`. */
export function readBoot(domain: Element): string[] {
  const kinds = children(domain, "os", "boot").map((boot) => kindOf(`${boot["@dev"]}`));
  const ordered = ["disk", "interface", "hostdev", "redirdev"].flatMap((kind) =>
    children(domain, "devices", kind).flatMap((device) => {
      const order = attribute(device, "order", "boot");
      return order ? [{ order: Number(order), name: nameOf(kind, device) ?? kind }] : [];
    }),
  );
  if (ordered.length === 0) return kinds;
  return ordered.sort((a, b) => a.order - b.order).map(({ name }) => name.toLowerCase());
}

/** Throws `invalid_input` for a device that the domain does not have. */
export function setBoot(doc: XmlDocument, names: string[]) {
  const devices = doc.find("devices").flatMap(({ children }) => children);
  for (const boot of [...doc.find("os", "boot"), ...descend(devices, ["boot"])]) doc.remove(boot);
  if (isKind(`${names[0]}`)) {
    const boots = names.map((name) => xml`<boot dev="${KINDS[name]}"/>`);
    for (const os of doc.find("os")) doc.prepend(os, boots.join("\n"));
    return;
  }
  const bootable = devices.flatMap((span) => {
    const name = bootName(span);
    return name ? [{ name, span }] : [];
  });
  for (const [i, name] of names.entries()) {
    const device = bootable.find((one) => one.name === name);
    if (device) doc.prepend(device.span, `${xml`<boot order="${i + 1}"/>`}`);
    else {
      const known = bootable.map((one) => one.name).join(", ") || "none";
      const text = `boot[${i}]: the domain has no disk or interface ${name}; it has ${known}`;
      throw new HyperError("invalid_input", text);
    }
  }
}

function bootName(span: Span): string | undefined {
  const [target] = descend([span], ["target"]);
  const [mac] = descend([span], ["mac"]);
  if (span.name === "disk") return target?.attributes.dev?.toLowerCase();
  return span.name === "interface" ? mac?.attributes.address?.toLowerCase() : undefined;
}
