/** The volume that a disk of a domain uses, and the pool that a path lies in. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import type { Disk } from "../disk.ts";
import { parseXml, textOf } from "../xml.ts";
import { listPools } from "./pools.ts";
import { readImageInfo } from "./qemu-img.ts";
import { parseVolume, readVolume } from "./volume.ts";

export type DiskImage = Pick<ReturnType<typeof parseVolume>, "pool" | "path"> & {
  /** As the source's guest sees it. */
  format: string;
  size: number;
};

/**
 * The image as the guest sees it: the format is the definition's. A pool detects formats from the data, and a
 * guest can write any header to a raw disk, such as one that names a file of the hypervisor.
 */
export async function readDiskImage(
  { exec }: Context,
  { format = "raw" }: Pick<Disk, "format">,
  { pool, path, capacity_bytes, format: detected }: ReturnType<typeof parseVolume>,
): Promise<DiskImage> {
  if (format === (detected ?? "raw")) return { pool, path, format, size: capacity_bytes };
  const info = await readImageInfo(exec, path, format);
  return { pool, path, format, size: info["virtual-size"] };
}

/** Finds the volume that a disk uses. The pool is refreshed if it has not seen the file yet. */
export async function findVolume(ctx: Context, disk: Disk, source: string) {
  const { path, pool, volume, target } = disk;
  if (pool && volume) return readVolume(ctx, pool, volume);
  if (!path) {
    const text = `disk ${target} of ${source} is neither a file, a device nor a volume`;
    throw new HyperError("unsupported", text);
  }
  const lookup = [
    ["vol-pool", "--vol", path],
    ["vol-dumpxml", "--vol", path],
  ];
  let [poolName, definition] = await ctx.virsh.settled(lookup);
  if (typeof poolName !== "string") {
    await ctx.virsh(["pool-refresh", "--pool", await poolOf(ctx, path)]);
    [poolName, definition] = await ctx.virsh.settled(lookup);
  }
  if (typeof poolName !== "string") throw poolName;
  if (typeof definition !== "string") throw definition;
  return parseVolume(poolName.trimEnd(), definition);
}

/** Finds the active pool whose folder a path lies in. */
export async function poolOf(ctx: Context, path: string): Promise<string> {
  const folder = path.slice(0, path.lastIndexOf("/"));
  const pools = await listPools(ctx);
  const texts = await ctx.virsh.settled(pools.map((pool) => ["pool-dumpxml", "--pool", pool]));
  const folders: string[] = [];
  for (const text of texts) {
    if (typeof text !== "string") continue;
    const pool = parseXml(text, "pool");
    const target = textOf(pool, "target", "path") ?? "";
    if (target === folder) return textOf(pool, "name") ?? "";
    folders.push(target);
  }
  throw new HyperError(
    "invalid_input",
    `${path} is in no active pool (their folders: ${folders.join(", ")})`,
  );
}
