/** Edits to the definition of a domain: memory, vCPUs, network. What libvirt made of them is then to be checked (edited.ts). */
import { HyperError } from "../../core/errors.ts";
import { xml } from "../xml.ts";
import { descend, type Span, type XmlDocument } from "../xml-document.ts";
import { kibibytesOf, scaleCells, shareCpus } from "./numa.ts";

/**
 * Sets the memory in MiB, of which `current` is in use from the start. libvirt computes the memory of a domain with
 * NUMA cells as the sum of the cells and memory devices, so the cells are scaled.
 */
export function setMemory(doc: XmlDocument, mebibytes: number, current = mebibytes) {
  for (const span of doc.find("memory")) setKibibytes(doc, span, mebibytes * 1024);
  setCurrentMemory(doc, current);
  for (const span of doc.find("maxMemory"))
    if (kibibytesOf(doc, span) < mebibytes * 1024) setKibibytes(doc, span, mebibytes * 1024);
  const devices = doc.find("devices", "memory").flatMap((device) => ({
    size: descend([device], ["target", "size"]).reduce((sum, s) => sum + kibibytesOf(doc, s), 0),
  }));
  const plugged = devices.reduce((sum, { size }) => sum + size, 0) / 1024;
  const cells = doc.find("cpu", "numa", "cell");
  const least = plugged + Math.max(cells.length, 1);
  if (mebibytes < least) {
    const needed = `its ${cells.length} NUMA cells and its memory devices of ${plugged} MiB`;
    throw new HyperError("unsupported", `memory: ${needed} need at least ${least} MiB`);
  }
  scaleCells(doc, cells, mebibytes - plugged);
}

export function setCurrentMemory(doc: XmlDocument, mebibytes: number) {
  for (const span of doc.find("currentMemory")) setKibibytes(doc, span, mebibytes * 1024);
}

function setKibibytes(doc: XmlDocument, span: Span, kibibytes: number) {
  doc.setAttribute(span, "unit", "KiB");
  doc.setText(span, `${kibibytes}`);
}

/**
 * Sets the number of vCPUs, of which `current` are there from the start. A topology would have to multiply to the
 * same number, so QEMU makes its own. NUMA cells share them as they did before.
 */
export function setVcpus(doc: XmlDocument, count: number, current = count) {
  for (const span of doc.find("vcpu")) doc.setText(span, `${count}`);
  setCurrentVcpus(doc, current === count ? undefined : current);
  for (const span of doc.find("cpu", "topology")) doc.remove(span);
  shareCpus(doc, doc.find("cpu", "numa", "cell"), count);
}

/** How many of the vCPUs are there from the start; undefined is all of them. libvirt chooses which. */
export function setCurrentVcpus(doc: XmlDocument, count: number | undefined) {
  for (const span of doc.find("vcpu"))
    doc.setAttribute(span, "current", count === undefined ? undefined : `${count}`);
  for (const span of doc.find("vcpus")) doc.remove(span);
}

/** The parts of an interface that belong to the guest's device; all others belong to its connection. */
const OF_DEVICE = /^(mac|model|driver|boot|link|mtu|address|alias|rom|acpi|filterref|bandwidth)$/;
/** The host's driver of a passed-through device. */
const OF_PASSTHROUGH = /^(hostdev|vdpa)$/;
const VIRTIO = '<model type="virtio"/>';

/** Connects the first interface to a network; a domain without interfaces gets one. */
export function setNetwork(doc: XmlDocument, network: string) {
  const source = `${xml`<source network="${network}"/>`}`;
  const [first] = doc.find("devices", "interface");
  const [devices] = doc.find("devices");
  if (!first) {
    if (devices) doc.prepend(devices, `<interface type="network">${source}${VIRTIO}</interface>`);
    return;
  }
  const { type = "" } = first.attributes;
  const passedThrough = OF_PASSTHROUGH.test(type);
  for (const name of ["managed", "trustGuestRxFilters"]) doc.setAttribute(first, name, undefined);
  doc.setAttribute(first, "type", "network");
  const [current] = descend([first], ["source"]);
  const isKept = ({ name }: Span) =>
    (OF_DEVICE.test(name) && !(passedThrough && name === "driver")) ||
    (name === "target" && type === "network"); // the name of its tap device
  for (const child of first.children) if (child !== current && !isKept(child)) doc.remove(child);
  // a passed-through device has no model, and libvirt's own choice is a slow one
  const lacksModel = passedThrough && descend([first], ["model"]).length === 0;
  const inserted = lacksModel ? source + VIRTIO : source;
  if (current) doc.replace(current, inserted);
  else doc.prepend(first, inserted);
}
