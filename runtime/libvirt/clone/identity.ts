/**
 * What must differ between a domain and its clone, edited into the source's own definition; all else stays
 * byte for byte. virt-clone's Cloner is the yardstick for what that is.
 */
import { randomUUID } from "node:crypto";
import { HyperError } from "../../core/errors.ts";
import { randomMac } from "../domain/domain.ts";
import { xml } from "../xml.ts";
import { descend, type Span, type XmlDocument } from "../xml-document.ts";

export interface Identity {
  uuid: string;
  macs: string[];
}

/** Name, UUID, generation ID and MACs. */
export function assignIdentity(doc: XmlDocument, name: string, newMac: boolean): Identity {
  const uuid = randomUUID();
  for (const span of doc.find("name")) doc.setText(span, name);
  const [known] = doc.find("uuid");
  if (known) doc.setText(known, uuid);
  else for (const span of doc.find("name")) doc.after(span, `  <uuid>${uuid}</uuid>`);
  // libvirt insists that SMBIOS says the same UUID
  const entries = doc.find("sysinfo", "system", "entry");
  for (const span of entries.filter(({ attributes }) => attributes.name === "uuid"))
    doc.setText(span, uuid);
  for (const span of doc.find("genid").filter((one) => one.inner < one.innerEnd))
    doc.setText(span, randomUUID());
  const macs = doc.find("devices", "interface", "mac").map((span) => {
    const mac = newMac ? randomMac() : (span.attributes.address ?? "");
    if (newMac) doc.setAttribute(span, "address", mac);
    return mac;
  });
  return { uuid, macs };
}

/** What only one running domain can have at a time: ports, sockets, files, device names. */
export function resolveConflicts(doc: XmlDocument, source: string, target: string) {
  for (const device of doc.find("devices", "interface")) {
    for (const span of descend([device], ["target"]).filter(({ attributes }) => attributes.dev))
      doc.remove(span);
  }
  for (const graphics of doc.find("devices", "graphics")) {
    const { port, tlsPort, websocket, socket } = graphics.attributes;
    if (port && port !== "-1") doc.setAttribute(graphics, "port", "-1");
    if (tlsPort && tlsPort !== "-1") doc.setAttribute(graphics, "tlsPort", "-1");
    if (websocket && websocket !== "-1") doc.setAttribute(graphics, "websocket", "-1");
    if (port || tlsPort) doc.setAttribute(graphics, "autoport", "yes");
    if (socket) doc.setAttribute(graphics, "socket", undefined);
    for (const listen of descend([graphics], ["listen"]))
      doc.setAttribute(listen, "socket", undefined);
  }
  for (const cid of doc.find("devices", "vsock", "cid")) {
    doc.setAttribute(cid, "auto", "yes");
    doc.setAttribute(cid, "address", undefined);
  }
  for (const kind of ["serial", "parallel", "console", "channel"]) {
    for (const device of doc.find("devices", kind))
      separateCharacterDevice(doc, device, source, target);
  }
}

/** A socket that it listens on or a file that it writes gets a name of the clone's; libvirt makes its own for channels. */
function separateCharacterDevice(doc: XmlDocument, device: Span, source: string, target: string) {
  const { type } = device.attributes;
  for (const span of descend([device], ["source"])) {
    const { mode, path } = span.attributes;
    if (type === "unix" && mode === "bind" && isVirtioChannel(device)) doc.remove(span);
    else if (path && (type === "file" || type === "pipe" || (type === "unix" && mode === "bind"))) {
      doc.setAttribute(span, "path", siblingPath(path, source, target));
    } else if ((type === "tcp" || type === "udp") && mode === "bind") {
      // nobody can say which other port is free: the console stays, as a terminal on the hypervisor
      doc.setAttribute(device, "type", "pty");
      doc.remove(span);
      for (const protocol of descend([device], ["protocol"])) doc.remove(protocol);
    }
  }
  for (const log of descend([device], ["log"])) {
    if (log.attributes.file)
      doc.setAttribute(log, "file", siblingPath(log.attributes.file, source, target));
  }
}

/** Of these libvirt makes up the socket where none is named. */
function isVirtioChannel(device: Span): boolean {
  const [target] = descend([device], ["target"]);
  return device.name === "channel" && target?.attributes.type === "virtio";
}

/** The file with the firmware's variables, in either of libvirt's spellings. */
export function nvramFile(doc: XmlDocument): { path: string; set(path: string): void } | undefined {
  const [nvram] = doc.find("os", "nvram");
  if (!nvram) return undefined;
  const [place] = descend([nvram], ["source"]);
  if (!place) {
    const path = doc.textOf(nvram);
    return path ? { path, set: (to) => doc.setText(nvram, to) } : undefined;
  }
  const { file } = place.attributes;
  if (!file) throw new HyperError("unsupported", "os: the NVRAM is no file and cannot be copied");
  return { path: file, set: (to) => doc.setAttribute(place, "file", to) };
}

/** The path beside another: with the target's name for the source's, or with the target's name before it. */
export function siblingPath(path: string, source: string, target: string): string {
  const at = path.lastIndexOf("/") + 1;
  const base = path.slice(at);
  return (
    path.slice(0, at) +
    (base.includes(source) ? base.replace(source, () => target) : `${target}-${base}`)
  );
}

/** In MiB, all of it in use from the start. */
export function setMemory(doc: XmlDocument, mebibytes: number) {
  for (const span of [...doc.find("memory"), ...doc.find("currentMemory")]) {
    doc.setAttribute(span, "unit", "KiB");
    doc.setText(span, `${mebibytes * 1024}`);
  }
}

/** A topology would have to multiply to the same number, so QEMU makes one up. */
export function setVcpus(doc: XmlDocument, count: number) {
  for (const span of doc.find("vcpu")) {
    doc.setAttribute(span, "current", undefined);
    doc.setText(span, `${count}`);
  }
  for (const span of [...doc.find("cpu", "topology"), ...doc.find("vcpus")]) doc.remove(span);
}

/** Connect the first interface to a network; a domain without one gets one. */
export function setNetwork(doc: XmlDocument, network: string) {
  const source = `${xml`<source network="${network}"/>`}`;
  const [first] = doc.find("devices", "interface");
  const [devices] = doc.find("devices");
  if (!first) {
    if (devices)
      doc.prepend(devices, `<interface type="network">${source}<model type="virtio"/></interface>`);
    return;
  }
  doc.setAttribute(first, "type", "network");
  const [place] = descend([first], ["source"]);
  if (place) doc.replace(place, source);
  else doc.prepend(first, source);
}
