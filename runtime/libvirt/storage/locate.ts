/** The volume that a disk of a domain stands on, and the pool that a path lies in. */

import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import { lines } from "../virsh-output.ts";
import { parseXml, textOf } from "../xml.ts";
import { descend, type Span } from "../xml-document.ts";
import { parseVolume } from "./volume.ts";

export type Image = Pick<ReturnType<typeof parseVolume>, "pool" | "path"> & {
  /** As the source's guest sees it. */
  format: string;
  size: number;
};

/**
 * A pool knows formats by looking at the data, and a guest can write any header on a raw disk, such as one
 * that names a file of the hypervisor: what the definition says is what the guest has.
 */
export async function readImage(
  ctx: Context,
  span: Span,
  volume: ReturnType<typeof parseVolume>,
): Promise<Image> {
  const { pool, path, capacity_bytes } = volume;
  const format = descend([span], ["driver"])[0]?.attributes.type ?? "raw";
  if (format === (volume.format ?? "raw")) {
    return { pool, path, format, size: capacity_bytes };
  }
  const done = await ctx.exec(["qemu-img", "info", "-U", "--output=json", "-f", format, path]);
  if (done.exitCode !== 0) throw programError("qemu-img info", done);
  return { pool, path, format, size: JSON.parse(done.stdout)["virtual-size"] };
}

/** The volume that a disk stands on. A file that its pool has not seen yet is looked for again. */
export async function findVolume(ctx: Context, place: Span, disk: string, source: string) {
  const { file, dev, pool, volume } = place.attributes;
  const path = file ?? dev;
  if (pool && volume)
    return parseVolume(pool, await ctx.virsh(["vol-dumpxml", "--pool", pool, "--vol", volume]));
  if (!path)
    throw new HyperError(
      "unsupported",
      `disk ${disk} of ${source} is neither a file, a device nor a volume`,
    );
  const look = [
    ["vol-pool", "--vol", path],
    ["vol-dumpxml", "--vol", path],
  ];
  let [found, text] = await ctx.virsh.settled(look);
  if (typeof found !== "string") {
    await ctx.virsh(["pool-refresh", "--pool", await poolOf(ctx, path)]);
    [found, text] = await ctx.virsh.settled(look);
  }
  if (typeof found !== "string") throw found;
  if (typeof text !== "string") throw text;
  return parseVolume(found.trimEnd(), text);
}

/** The active pool whose folder a path lies in. */
export async function poolOf(ctx: Context, path: string, known?: string): Promise<string> {
  if (known !== undefined) return known;
  const folder = path.slice(0, path.lastIndexOf("/"));
  const pools = lines(await ctx.virsh(["pool-list", "--uuid"])).map((uuid) => uuid.trim());
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
