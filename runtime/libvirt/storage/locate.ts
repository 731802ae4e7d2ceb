/** Where an image lies: in which pool, if in any, and whether a new one may be made at a path. */
import { posix } from "node:path";
import { HyperError } from "../../core/errors.ts";
import { settings } from "../../core/settings.ts";
import type { Context } from "../../hypervisor/context.ts";
import type { Disk } from "../disk.ts";
import { pathExists } from "../program.ts";
import { parseXml, textOf } from "../xml.ts";
import { mayRead, needsRoot } from "./image-access.ts";
import { listPools } from "./pools.ts";
import { dataOf, readImageInfo } from "./qemu-img.ts";
import { realPaths } from "./real-paths.ts";
import { parseVolume } from "./volume.ts";

export interface DiskImage {
  path: string;
  /** As the source's guest sees it. */
  format: string;
  size: number;
  /** What its file takes, in bytes; undefined for an image that stands on others, or has its data elsewhere. */
  data: number | undefined;
  /** The volume that it is, of an active pool. */
  volume?: { pool: string; name: string };
  /** libvirtd, which detects the format from the data, would copy what the guest sees. */
  isSeenAlike: boolean;
}

/** A logical volume or another block device, which holds old data and no image format of libvirt's making. */
export const isDevice = (path: string) => path.startsWith("/dev/");

/** Finds the image that a disk uses: a volume of a pool, or a file or a device that no pool has. */
export async function findImage(ctx: Context, disk: Disk, source: string): Promise<DiskImage> {
  const { path, pool, volume, target, format = "raw" } = disk;
  if (pool && volume) {
    const text = await ctx.virsh(["vol-dumpxml", "--pool", pool, "--vol", volume]);
    return volumeImage(ctx, pool, text, format);
  }
  if (!path) {
    const text = `disk ${target} of ${source} is neither a file, a device nor a volume`;
    throw new HyperError("unsupported", text);
  }
  const found = await findVolume(ctx, path);
  if (found) return volumeImage(ctx, found.pool, found.text, format);
  return { path, format, ...(await sizesOf(ctx, path, format)), isSeenAlike: false };
}

/** The volume of a path. A pool that has not seen the file yet is refreshed. */
export async function findVolume(ctx: Context, path: string) {
  const [name, text] = await ctx.virsh.settled([
    ["vol-pool", "--vol", path],
    ["vol-dumpxml", "--vol", path],
  ]);
  if (typeof name === "string" && typeof text === "string") {
    return { pool: name.replace(/\n+$/, ""), text };
  }
  const { pool } = await lookAround(ctx, posix.dirname(path));
  if (!pool) return undefined;
  await ctx.virsh.settled([["pool-refresh", "--pool", pool]]); // a pool at work refuses it, and is current
  const lookup = ["vol-dumpxml", "--pool", pool, "--vol", posix.basename(path)];
  const [definition] = await ctx.virsh.settled([lookup]);
  if (typeof definition === "string") return { pool, text: definition };
  if (definition?.code === "not_found") return undefined;
  throw definition;
}

/**
 * The image as the guest sees it: the format is the definition's. A pool detects formats from the data, and a
 * guest can write any header to a raw disk: one that names a file of the hypervisor, or one of LUKS, behind which
 * the pool sees a shorter volume.
 */
async function volumeImage(
  ctx: Context,
  pool: string,
  text: string,
  format: string,
): Promise<DiskImage> {
  const { path, name, capacity_bytes, format: detected, ...found } = parseVolume(pool, text);
  const physical = Number(textOf(parseXml(text, "volume"), "physical") ?? 0);
  const volume = { pool, name };
  const isDetected = format === (detected ?? "raw");
  if (format === "raw" && physical > 0) {
    const size = Math.ceil(physical / 512) * 512; // QEMU's sectors
    const isSeenAlike = isDetected && physical === capacity_bytes;
    return { path, format, size, data: found.allocation_bytes, volume, isSeenAlike };
  }
  const data = found.backing ? undefined : found.allocation_bytes;
  const sizes = isDetected ? { size: capacity_bytes, data } : await sizesOf(ctx, path, format);
  return { path, format, ...sizes, volume, isSeenAlike: isDetected };
}

async function sizesOf(ctx: Context, path: string, format: string) {
  if (!(await mayRead(ctx, path, format))) throw needsRoot(ctx, `the size of ${path} must be read`);
  if (!(await pathExists(ctx, path))) throw new HyperError("not_found", `${path} does not exist`);
  const info = await readImageInfo(ctx.exec, path, format);
  return { size: info["virtual-size"], data: dataOf(info) };
}

/** The pool of a folder by any name of it, and all folders in which files may be made. */
async function lookAround(ctx: Context, folder: string) {
  const uuids = await listPools(ctx);
  const texts = await ctx.virsh.settled(uuids.map((uuid) => ["pool-dumpxml", "--pool", uuid]));
  const pools = texts.flatMap((text) => {
    if (typeof text !== "string") return []; // it is gone by now
    const pool = parseXml(text, "pool");
    return [{ name: textOf(pool, "name") ?? "", folder: textOf(pool, "target", "path") ?? "" }];
  });
  const own = pools.find((pool) => pool.folder === folder);
  if (own) return { pool: own.name, pools, real: new Map<string, string>() };
  const { allowed } = settings().files;
  const real = await realPaths(ctx, [folder, ...pools.map((pool) => pool.folder), ...allowed]);
  const same = pools.find((pool) => real.has(folder) && real.get(pool.folder) === real.get(folder));
  return { pool: same?.name, pools, real };
}

/** Finds the pool for a new image at a path; undefined for a folder of no pool in which files may be made. */
export async function poolFor(
  ctx: Context,
  path: string,
  field: string,
): Promise<string | undefined> {
  const folder = posix.dirname(path);
  const { pool, pools, real } = await lookAround(ctx, folder);
  if (pool) return pool;
  const { allowed } = settings().files;
  const folders = pools.map((one) => one.folder);
  const at = real.get(folder);
  if (at && isWithin(at, [...folders, ...allowed], real)) return undefined;
  const where = `in no active pool (their folders: ${folders.join(", ")}) and no allowed folder (${allowed.join(", ")})`;
  throw new HyperError("invalid_input", `${field}: ${path} is ${where}`);
}

/** Whether each file, by its real path, lies in a folder in which files may be made, of a pool or of none. */
export async function areTouchable(ctx: Context, paths: string[]): Promise<boolean[]> {
  const { pools, real } = await lookAround(ctx, "/");
  const parents = [...pools.map((one) => one.folder), ...settings().files.allowed];
  return paths.map((path) => isWithin(posix.dirname(path), parents, real));
}

function isWithin(folder: string, parents: string[], real: Map<string, string>): boolean {
  if (isDevice(`${folder}/`)) return false;
  return parents
    .flatMap((parent) => real.get(parent) ?? [])
    .some((parent) => folder === parent || folder.startsWith(`${parent}/`));
}
