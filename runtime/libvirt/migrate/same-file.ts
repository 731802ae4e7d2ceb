/** Whether a path means one file on both sides, as on storage that both see. */
import type { Context } from "../../hypervisor/context.ts";
import type { Sides } from "./sides.ts";

interface Identity {
  inode: string;
  /** Seconds since the epoch; undefined where the file system does not tell. */
  born: string | undefined;
  size: string;
}

/**
 * Two files have another number each, and another time at which they were made, where one file has the same on every
 * host that sees it. Undefined where that cannot be told: for a device, or a file that one of the two does not see.
 */
export async function isSameFile(
  { source, target, active }: Pick<Sides, "source" | "target" | "active">,
  path: string,
  there = path,
): Promise<boolean | undefined> {
  const [one, other] = await Promise.all([identityOf(source, path), identityOf(target, there)]);
  if (!one || !other) return undefined;
  if (one.inode !== other.inode) return false;
  if (one.born && other.born) return one.born === other.born;
  return active || one.size === other.size; // what a guest writes to may have grown between the two looks
}

async function identityOf({ exec }: Context, path: string): Promise<Identity | undefined> {
  if (!path.startsWith("/") || path.startsWith("/dev/")) return undefined;
  const { exitCode, stdout } = await exec(["stat", "-Lc", "%i %s %W", "--", path]);
  if (exitCode !== 0) return undefined;
  const [inode = "", size = "", born = ""] = stdout.trim().split(" ");
  return { inode, size, born: /^[1-9]\d*$/.test(born) ? born : undefined };
}
