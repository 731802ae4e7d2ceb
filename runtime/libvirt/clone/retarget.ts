/** The disks of a definition are pointed to their copies. */
import { type DiskImage, isDevice } from "../storage/locate.ts";
import { xml } from "../xml.ts";
import { descend, type Span, type XmlDocument } from "../xml-document.ts";
import type { Plan } from "./plan.ts";

/** Points a disk of the clone's definition to its copy. */
export function retargetDisk(doc: XmlDocument, plan: Plan) {
  const { span, from, pool, name, path, format } = plan;
  const [source] = descend([span], ["source"]);
  const [driver] = descend([span], ["driver"]);
  if (source?.attributes.volume && pool) {
    doc.setAttribute(source, "pool", pool);
    doc.setAttribute(source, "volume", name);
  } else if (source) pointToPath(doc, span, source, path);
  if (driver && format !== from.format) doc.setAttribute(driver, "type", format);
  for (const chain of descend([span], ["backingStore"])) doc.remove(chain); // libvirt detects the chain anew
  if (plan.linked && from.format === "raw" && !from.isSeenAlike) nameBase(doc, span, from);
}

/** libvirt would take a raw base for encrypted if its guest has encrypted it, so that it is told what it is. */
function nameBase(doc: XmlDocument, disk: Span, { path }: DiskImage) {
  const [key, type] = isDevice(path) ? ["dev", "block"] : ["file", "file"];
  const base = xml`<backingStore type="${type}"><format type="raw"/><source ${key}="${path}"/><backingStore/></backingStore>`;
  for (const above of descend([disk], ["source"])) doc.after(above, `${base}`);
}

/** Points a disk to a file or a device. What else the source says stays, but for what only a LUN may have. */
export function pointToPath(doc: XmlDocument, disk: Span, source: Span, path: string) {
  const [key, other] = isDevice(path) ? ["dev", "file"] : ["file", "dev"];
  doc.setAttribute(disk, "type", key === "dev" ? "block" : "file");
  doc.setAttribute(source, key, path);
  for (const name of [other, "pool", "volume", "mode"]) doc.setAttribute(source, name, undefined);
  if (key === "dev") return;
  for (const lun of descend([source], ["reservations"])) doc.remove(lun);
  if (disk.attributes.device !== "lun") return;
  doc.setAttribute(disk, "device", "disk");
  for (const name of ["rawio", "sgio"]) doc.setAttribute(disk, name, undefined);
}
