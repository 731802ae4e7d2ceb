/** The definition that the target gets: the source's, with the paths that its disks have there. */
import { pointToPath } from "../clone/retarget.ts";
import { descend, type XmlDocument } from "../xml-document.ts";
import type { DiskCopy } from "./disks.ts";

/** Whether the disk is found there under the name that the definition has for it. */
export const isMoved = ({ image, path, pool }: DiskCopy) =>
  path !== image.path || (image.volume !== undefined && pool !== image.volume.pool);

/** Points each disk to its copy. `path` is where it was made. */
export function retargetDisks(doc: XmlDocument, copies: (DiskCopy & { path: string })[]) {
  for (const copy of copies) {
    const [source] = descend([copy.span], ["source"]);
    if (source?.attributes.volume && copy.pool) {
      doc.setAttribute(source, "pool", copy.pool);
      doc.setAttribute(source, "volume", copy.name);
    } else if (source && copy.path !== copy.image.path)
      pointToPath(doc, copy.span, source, copy.path);
  }
}
