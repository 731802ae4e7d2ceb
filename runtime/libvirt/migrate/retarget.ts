/** The definition that the target gets: the source's, with the paths that its disks have there. */
import { pointToPath } from "../clone/retarget.ts";
import { descend, XmlDocument } from "../xml-document.ts";
import type { DiskCopy } from "./disks.ts";

/** Whether the disk is found there under the name that the definition has for it. */
export const isMoved = ({ image, path, pool }: DiskCopy) =>
  path !== image.path || (image.volume !== undefined && pool !== image.volume.pool);

/** A definition with each disk at its copy. `paths`: where they were made, by the disks' targets. */
export function retargeted(text: string, copies: DiskCopy[], paths: Map<string, string>): string {
  const doc = new XmlDocument(text);
  for (const disk of doc.find("devices", "disk")) {
    const [[target], [source]] = [descend([disk], ["target"]), descend([disk], ["source"])];
    const copy = copies.find((one) => one.target === target?.attributes.dev);
    const path = copy && paths.get(copy.target);
    if (!source || !copy || path === undefined) continue;
    if (source.attributes.volume && copy.pool) {
      doc.setAttribute(source, "pool", copy.pool);
      doc.setAttribute(source, "volume", copy.name);
    } else if (path !== copy.image.path) pointToPath(doc, disk, source, path);
  }
  return `${doc}`;
}
