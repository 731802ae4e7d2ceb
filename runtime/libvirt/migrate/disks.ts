/** What becomes of each disk of a domain that goes to another hypervisor. */
import { posix } from "node:path";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { type Disk, readDisk } from "../disk.ts";
import { mayRead } from "../storage/image-access.ts";
import { type DiskImage, findImage, isDevice, poolFor } from "../storage/locate.ts";
import { readImageInfo } from "../storage/qemu-img.ts";
import { readVolume, type Volume } from "../storage/volume.ts";
import { children, parseXml, textOf } from "../xml.ts";
import type { Sides } from "./sides.ts";

/** A disk whose bytes are copied. */
export interface DiskCopy {
  target: string;
  image: DiskImage;
  /** The image that it stands on. */
  backing: NonNullable<Volume["backing"]> | undefined;
  /** Of the other hypervisor; undefined for a file that no pool has there. */
  pool: string | undefined;
  name: string;
  /** Undefined in a pool whose volumes have no paths before they are made. */
  path: string | undefined;
}

/** A disk that the target must have already, or reaches over the network. */
export interface DiskKept {
  target: string;
  disk: Disk;
}

export interface DiskPlan {
  copies: DiskCopy[];
  kept: DiskKept[];
}

export async function planDisks(sides: Sides): Promise<DiskPlan> {
  const { source, name, route, domain } = sides;
  const plan: DiskPlan = { copies: [], kept: [] };
  for (const element of children(domain, "devices", "disk")) {
    if (children(element, "source").length === 0) continue; // an empty drive
    const disk = readDisk(element);
    const { target } = disk;
    if (route.copy_storage === "none" || !isCopied(disk)) {
      plan.kept.push({ target, disk });
      continue;
    }
    const image = await findImage(source, disk, name);
    const backing = await backingOf(source, image);
    plan.copies.push({ target, image, backing, ...(await placeFor(sides, image)) });
  }
  const places = plan.copies.map(({ pool, name, path }) => path ?? `${pool}/${name}`);
  const twice = places.find((place, i) => places.indexOf(place) !== i);
  if (twice) throw new HyperError("unsupported", `two disks would both become ${twice}`);
  return plan;
}

/** What the guest cannot write to, or shares with others, is not the domain's alone. */
const isCopied = ({ kind, device, readonly, shareable }: Disk) =>
  /^(file|block|volume)$/.test(kind) && device !== "cdrom" && !readonly && !shareable;

async function backingOf(ctx: Context, { path, format, volume }: DiskImage) {
  if (format === "raw") return undefined;
  const known = volume && (await readVolume(ctx, volume.pool, volume.name)).backing;
  if (known || !(await mayRead(ctx, path, format))) return known ?? undefined;
  const info = await readImageInfo(ctx.exec, path, format);
  if (info["format-specific"]?.data?.["data-file"])
    throw new HyperError(
      "unsupported",
      `${path} has its data in another file, which is not copied`,
    );
  const below = info["full-backing-filename"] ?? info["backing-filename"];
  return below ? { path: below, format: info["backing-filename-format"] ?? null } : undefined;
}

/** In the pool of the same name, else at the same path, unless the caller has named a pool. */
async function placeFor({ target, route }: Sides, { path, volume }: DiskImage) {
  const base = posix.basename(path);
  const name = volume?.name ?? base;
  const chosen = route.target_pool ?? (volume && (await activePool(target, volume.pool)));
  const pool = chosen ?? (await poolFor(target, path, "copy_storage"));
  if (!pool) return { pool, name, path };
  const element = parseXml(await target.virsh(["pool-dumpxml", "--pool", pool]), "pool");
  const isFolder = /^(dir|fs|netfs)$/.test(`${element["@type"]}`);
  const folder = textOf(element, "target", "path");
  if (!isFolder && !isDevice(path) && route.live)
    throw new HyperError("unsupported", `pool ${pool} on ${target.host} holds no files`);
  return { pool, name: isFolder ? base : name, path: isFolder ? `${folder}/${base}` : undefined };
}

async function activePool({ virsh }: Context, name: string): Promise<string | undefined> {
  const [info] = await virsh.settled([["pool-info", "--pool", name]]);
  if (typeof info === "string") return /^State: +running$/m.test(info) ? name : undefined;
  if (info?.code === "not_found") return undefined;
  throw info;
}
