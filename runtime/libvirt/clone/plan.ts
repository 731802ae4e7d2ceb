/** Which disks of a domain a clone gets copies of, and where they go. */

import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { findVolume, type Image, poolOf, readImage } from "../storage/locate.ts";
import { descend, type Span, type XmlDocument } from "../xml-document.ts";

export interface CloneRequest {
  source: string;
  target: string;
  /** Paths for the copies, in the order of the disks; generated where missing. */
  files?: string[];
  /** False: a missing path is an error. */
  autoClone?: boolean;
  newMac?: boolean;
  /** Overlays on the source's disks instead of copies. */
  linked?: boolean;
}

export interface Copy {
  /** The disk's target, such as `vda`. */
  target: string;
  path: string;
  format: string;
}

export interface Plan extends Copy {
  span: Span;
  from: Image;
  pool: string;
  name: string;
}

/** As virt-clone: what the source could write to is copied, floppies too; the rest is referred to. */
export async function planDisks(ctx: Context, doc: XmlDocument, request: CloneRequest) {
  const { source, files = [], autoClone = true, linked } = request;
  const plans: Plan[] = [];
  for (const span of doc.find("devices", "disk")) {
    const has = (name: string) => descend([span], [name]).length > 0;
    const [place] = descend([span], ["source"]);
    const cdrom = span.attributes.device === "cdrom";
    if (!place || cdrom || has("readonly") || has("shareable") || isTransientShare(span)) continue;
    const disk = descend([span], ["target"])[0]?.attributes.dev ?? "";
    if (has("encryption") || descend([place], ["encryption"]).length > 0) {
      throw new HyperError(
        "unsupported",
        `disk ${disk} of ${source} is encrypted and cannot be cloned`,
      );
    }
    const given = files[plans.length];
    if (given === undefined && !autoClone)
      throw new HyperError("invalid_input", `files: no path for disk ${disk} of ${source}`);
    const from = await readImage(ctx, span, await findVolume(ctx, place, disk, source));
    const isTaken = (wanted: string) => plans.some(({ path }) => path === wanted);
    const wanted = given ?? newPath(from.path, request, disk, isTaken);
    const format = linked ? "qcow2" : isDevice(wanted) ? "raw" : from.format;
    const pool = await poolOf(ctx, wanted, given === undefined ? from.pool : undefined);
    const name = wanted.slice(wanted.lastIndexOf("/") + 1);
    if (isTaken(wanted)) throw new HyperError("invalid_input", `files: ${wanted} is named twice`);
    plans.push({ span, target: disk, from, pool, name, path: wanted, format });
  }
  if (files.length > plans.length) {
    throw new HyperError(
      "invalid_input",
      `files: ${source} has ${plans.length} disks to copy, not ${files.length}`,
    );
  }
  return plans;
}

/** A logical volume or another block device, which holds old data and no image format of libvirt's making. */
export const isDevice = (path: string) => path.startsWith("/dev/");

/** Several domains may have it, since what they write goes elsewhere and is forgotten. */
const isTransientShare = (span: Span) =>
  descend([span], ["transient"])[0]?.attributes.shareBacking === "yes";

/**
 * `/pool/base-vm.qcow2` becomes `/pool/clone.qcow2`; a name that does not tell its domain, or that another
 * disk's copy has, gets the disk's target too.
 */
function newPath(
  path: string,
  { source, target, linked }: CloneRequest,
  disk: string,
  isTaken: (path: string) => boolean,
): string {
  const at = path.lastIndexOf("/") + 1;
  const [folder, base] = [path.slice(0, at), path.slice(at)];
  const ending = base.match(/\.[A-Za-z0-9]{1,6}$/)?.[0] ?? "";
  const [stem, last] = linked ? [base.slice(0, base.length - ending.length), ".qcow2"] : [base, ""];
  const likeSource = folder + stem.replace(source, () => target) + last;
  if (stem.includes(source) && !isTaken(likeSource)) return likeSource;
  return `${folder}${target}-${disk}${linked ? ".qcow2" : ending}`;
}
