/** The plan of a clone's disks: which of the source's are copied, and where the copies go. */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { type Disk, readDisk } from "../disk.ts";
import { type DiskImage, findImage, isDevice, poolFor } from "../storage/locate.ts";
import { parseXml } from "../xml.ts";
import type { Span, XmlDocument } from "../xml-document.ts";

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

/** A disk of the clone; `target` is its name there, such as `vda`. */
export const DiskCopy = z.object({ target: z.string(), path: z.string(), format: z.string() });

export type Copy = z.output<typeof DiskCopy>;

export interface Plan extends Copy {
  span: Span;
  from: DiskImage;
  /** An overlay on the source's disk. */
  linked: boolean;
  /** Undefined for a file that no pool has. */
  pool: string | undefined;
  name: string;
}

/** As virt-clone does: disks that the source can write to are copied, floppies too; others are referenced. */
export async function planDisks(ctx: Context, doc: XmlDocument, request: CloneRequest) {
  const { source, files = [] } = request;
  const plans: Plan[] = [];
  for (const span of doc.find("devices", "disk")) {
    const disk = readDisk(parseXml(doc.text.slice(span.start, span.end), "disk"));
    if (!isCopied(span, disk)) continue;
    if (disk.encrypted) {
      const text = `disk ${disk.target} of ${source} is encrypted and cannot be cloned`;
      throw new HyperError("unsupported", text);
    }
    plans.push({ span, ...(await planDisk(ctx, disk, request, plans)) });
  }
  if (files.length > plans.length) {
    throw new HyperError(
      "invalid_input",
      `files: ${source} has ${plans.length} disks to copy, not ${files.length}`,
    );
  }
  return plans;
}

/** An empty drive has no source. Of a shared transient disk, writes are forgotten, so several domains may have it. */
const isCopied = (span: Span, disk: Disk) =>
  span.children.some(({ name }) => name === "source") &&
  !(disk.device === "cdrom" || disk.readonly || disk.shareable || disk.sharesBacking);

async function planDisk(
  ctx: Context,
  disk: Disk,
  request: CloneRequest,
  plans: Plan[],
): Promise<Omit<Plan, "span">> {
  const { source, files = [], autoClone = true, linked = false } = request;
  const requested = files[plans.length];
  if (requested === undefined && !autoClone)
    throw new HyperError("invalid_input", `files: no path for disk ${disk.target} of ${source}`);
  const from = await findImage(ctx, disk, source);
  const isTaken = (path: string) => plans.some((plan) => plan.path === path);
  const path = requested ?? newPath(from.path, request, disk.target, isTaken);
  const format = linked ? "qcow2" : isDevice(path) ? "raw" : from.format;
  // a made-up path is beside the source
  const own = requested === undefined ? from.volume?.pool : undefined;
  const pool = own ?? (await poolFor(ctx, path, "files"));
  if (isTaken(path)) throw new HyperError("invalid_input", `files: ${path} is named twice`);
  const name = path.slice(path.lastIndexOf("/") + 1);
  return { target: disk.target, from, linked, pool, name, path, format };
}

/**
 * `/pool/base-vm.qcow2` becomes `/pool/clone.qcow2`. The disk's target is added where the source's file is not
 * named after its domain, or where another disk's copy has that path.
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
