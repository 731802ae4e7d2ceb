/** Edits to the definition of a domain: memory, vCPUs, network. */
import { xml } from "../xml.ts";
import { descend, type XmlDocument } from "../xml-document.ts";

/** Sets the memory in MiB; all of it is in use from the start. */
export function setMemory(doc: XmlDocument, mebibytes: number) {
  for (const span of [...doc.find("memory"), ...doc.find("currentMemory")]) {
    doc.setAttribute(span, "unit", "KiB");
    doc.setText(span, `${mebibytes * 1024}`);
  }
}

/** Sets the number of vCPUs. A topology would have to multiply to the same number, so QEMU makes its own. */
export function setVcpus(doc: XmlDocument, count: number) {
  for (const span of doc.find("vcpu")) {
    doc.setAttribute(span, "current", undefined);
    doc.setText(span, `${count}`);
  }
  for (const span of [...doc.find("cpu", "topology"), ...doc.find("vcpus")]) doc.remove(span);
}

/** Connects the first interface to a network; a domain without interfaces gets one. */
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
  const [current] = descend([first], ["source"]);
  if (current) doc.replace(current, source);
  else doc.prepend(first, source);
}
