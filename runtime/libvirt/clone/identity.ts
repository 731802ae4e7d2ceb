/**
 * The identity of a clone, edited into the source's definition; everything else stays byte for byte. virt-clone's
 * Cloner is the yardstick for what must differ.
 */
import { randomUUID } from "node:crypto";
import { randomMac } from "../domain/domain.ts";
import { descend, type Span, type XmlDocument } from "../xml-document.ts";

export interface Identity {
  uuid: string;
  macs: string[];
}

/** Gives the clone its name, UUID, generation ID and MACs. */
export function assignIdentity(doc: XmlDocument, name: string, newMac: boolean): Identity {
  const uuid = randomUUID();
  for (const span of doc.find("name")) doc.setText(span, name);
  const [uuidSpan] = doc.find("uuid");
  if (uuidSpan) doc.setText(uuidSpan, uuid);
  else for (const span of doc.find("name")) doc.after(span, `  <uuid>${uuid}</uuid>`);
  // libvirt requires the same UUID in SMBIOS
  const entries = doc.find("sysinfo", "system", "entry");
  for (const span of entries.filter(({ attributes }) => attributes.name === "uuid"))
    doc.setText(span, uuid);
  for (const span of doc.find("genid").filter(({ inner, innerEnd }) => inner < innerEnd))
    doc.setText(span, randomUUID());
  const macs = doc.find("devices", "interface", "mac").map((span) => {
    const mac = newMac ? randomMac() : (span.attributes.address ?? "");
    if (newMac) doc.setAttribute(span, "address", mac);
    return mac;
  });
  return { uuid, macs };
}

/** Removes or renames resources that only one running domain can have: ports, sockets, files, device names. */
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
      resolveCharacterDevice(doc, device, source, target);
  }
}

/** Gives a listening socket or a written file a name of the clone's own; libvirt names a channel's socket itself. */
function resolveCharacterDevice(doc: XmlDocument, device: Span, source: string, target: string) {
  const { type } = device.attributes;
  for (const span of descend([device], ["source"])) {
    const { mode, path } = span.attributes;
    if (type === "unix" && mode === "bind" && isVirtioChannel(device)) doc.remove(span);
    else if (path && (type === "file" || type === "pipe" || (type === "unix" && mode === "bind"))) {
      doc.setAttribute(span, "path", siblingPath(path, source, target));
    } else if ((type === "tcp" || type === "udp") && mode === "bind") {
      // a free port cannot be known here: the console stays, as a terminal on the hypervisor
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

/** libvirt generates the socket of a virtio channel where none is named. */
function isVirtioChannel(device: Span): boolean {
  const [target] = descend([device], ["target"]);
  return device.name === "channel" && target?.attributes.type === "virtio";
}

/** A path in the same folder, with the target's name in place of the source's, or before the file's name. */
export function siblingPath(path: string, source: string, target: string): string {
  const at = path.lastIndexOf("/") + 1;
  const base = path.slice(at);
  return (
    path.slice(0, at) +
    (base.includes(source) ? base.replace(source, () => target) : `${target}-${base}`)
  );
}
