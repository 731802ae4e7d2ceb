/** Where in a domain another disk fits: the next target of a bus, and what may be plugged into a running domain. */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import { targetName } from "../create/targets.ts";
import { attribute, children, type Element } from "../xml.ts";

/** The name of a disk that the domain has. */
export const Target = z
  .string()
  .regex(/^[a-z]{2,12}$/, "must be a disk's target, such as vda")
  .describe("the disk's target, such as vda");

export const BUSES = ["virtio", "scsi", "sata", "ide", "usb"] as const;
export type Bus = (typeof BUSES)[number];

const PREFIX: Record<Bus, string> = { virtio: "vd", scsi: "sd", sata: "sd", usb: "sd", ide: "hd" };
/** An IDE controller has two channels of two devices. */
const MAX_IDE = 4;

/** All targets of the disks of these definitions: of the running domain and of the stored one. */
export const targetsOf = (definitions: Element[]) =>
  new Set(
    definitions.flatMap((domain) =>
      children(domain, "devices", "disk").flatMap((disk) => attribute(disk, "dev", "target") ?? []),
    ),
  );

/** The first free target of a bus, such as `vdb`. Throws `unsupported` if it has none. */
export function nextTarget(bus: Bus, taken: Set<string>): string {
  for (let i = 0; i <= taken.size; i++) {
    const target = targetName(PREFIX[bus], i);
    if (bus === "ide" && i >= MAX_IDE) break;
    if (!taken.has(target)) return target;
  }
  const text = `bus: an ide bus has ${MAX_IDE} places, which are taken; use another bus`;
  throw new HyperError("unsupported", text);
}

/** Throws `unsupported` for a domain that shall have no USB; libvirt adds every other controller. */
export function assertBus(bus: Bus, definitions: Element[]) {
  const isBare = (domain: Element) =>
    children(domain, "devices", "controller").some(
      (one) => one["@type"] === "usb" && one["@model"] === "none",
    );
  if (bus !== "usb" || !definitions.some(isBare)) return;
  throw new HyperError("unsupported", "bus: the domain has no USB controller; use another bus");
}

/** Throws `unsupported` for a bus into which nothing can be plugged while the domain runs. */
export function assertPluggable(bus: Bus, running: Element) {
  if (bus === "sata" || bus === "ide") {
    const text = `bus: nothing can be plugged into the ${bus} bus of a running domain; use virtio, scsi or usb, or shut the domain down first`;
    throw new HyperError("unsupported", text);
  }
  const needsPort = bus === "virtio" || (bus === "scsi" && !hasController(running, "scsi"));
  if (!needsPort || freePorts(running) !== 0) return;
  const what = bus === "virtio" ? "a virtio disk" : "the SCSI controller that it lacks";
  const text = `bus: the running domain has no free PCIe port, of which ${what} needs one; shut it down and attach the disk then (libvirt adds ports to a domain that is off), or use a bus that it has: ${otherBuses(running)}`;
  throw new HyperError("unsupported", text);
}

export const hasController = (domain: Element, type: string) =>
  children(domain, "devices", "controller").some((one) => one["@type"] === type);

function otherBuses(running: Element): string {
  const isThere = (type: string) =>
    children(running, "devices", "controller").some(
      (one) => one["@type"] === type && one["@model"] !== "none",
    );
  return ["scsi", "usb"].filter(isThere).join(", ") || "there is none";
}

const PORT = /^(pcie-root-port|pcie-switch-downstream-port)$/;
const KNOWN =
  /^(pcie-root|pcie-switch-upstream-port|pcie-to-pci-bridge|pcie-root-port|pcie-switch-downstream-port)$/;

/** The PCIe ports of a running domain with nothing in them; undefined where that is libvirt's to know, as on `pc`. */
export function freePorts(running: Element): number | undefined {
  const controllers = children(running, "devices", "controller").filter(
    (one) => one["@type"] === "pci",
  );
  const models = controllers.map((one) => `${one["@model"]}`);
  if (!models.includes("pcie-root") || !models.every((model) => KNOWN.test(model)))
    return undefined;
  const taken = new Set(
    Object.values(children(running, "devices")[0] ?? {})
      .flatMap((devices) => (Array.isArray(devices) ? devices : []))
      .flatMap((device) => children(device, "address"))
      .filter((address) => address["@type"] === "pci")
      .map((address) => Number(address["@bus"])),
  );
  return controllers.filter(
    (one) =>
      PORT.test(`${one["@model"]}`) &&
      attribute(one, "hotplug", "target") !== "off" &&
      !taken.has(Number(one["@index"])),
  ).length;
}
