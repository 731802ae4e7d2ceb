/**
 * Where bytes from outside lie until they are known to be a harmless image. A pool detects the formats of the files in
 * its folder at any refresh, and with a header's format come the files that the header names. So they lie in a folder of
 * their own within the pool's, on the same file system: what is good is renamed into its place, and no byte is written
 * twice. Where the login user may not write there, they lie in /var/tmp, and libvirtd takes what is good from there.
 * `vol-upload` at once would need neither, but has the pool see the bytes before anybody has looked at them.
 */
import { randomUUID } from "node:crypto";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { runProgram } from "../program.ts";
import { keyValues, lines } from "../virsh-output.ts";
import { parseXml, textOf } from "../xml.ts";

export interface Staging {
  /** Of the login user's, for these bytes alone; to be made. */
  folder: string;
  /** Where it is to be made, and how many bytes are free there; undefined where df does not tell. */
  parent: string;
  free: number | undefined;
}

/** libvirt passes over names with control characters when it looks for volumes, with a warning in its log. */
const UNSEEN = "\x01";
/** Kinds of pools whose volumes are the files of one folder. */
const OF_FILES = /^(dir|fs|netfs)$/;

const PLACE = `parent=/var/tmp
if [ -n "$1" ] && [ -w "$1" ]; then parent=$1; fi
printf '%s\\0' "$parent"
df -Pk -- "$parent"`;

/** Throws `not_active` for a pool that is off, and `already_exists` for a volume that it has. */
export async function stagingFor(
  ctx: Context,
  pool: string,
  volume: string,
  field = "volume",
): Promise<Staging> {
  const [info = "", definition = ""] = await ctx.virsh.all([
    ["pool-info", "--pool", pool, "--bytes"],
    ["pool-dumpxml", "--pool", pool],
  ]);
  if (keyValues(info).State !== "running")
    throw new HyperError("not_active", `pool: ${pool} is not active`);
  await assertNewVolume(ctx, pool, volume, field);
  const element = parseXml(definition, "pool");
  const isOfFiles = OF_FILES.test(`${element["@type"]}`);
  const target = isOfFiles ? (textOf(element, "target", "path") ?? "") : "";
  const { stdout } = await runProgram(ctx, ["sh", "-c", PLACE, "sh", target], {}, "df");
  const [parent = "", table = ""] = stdout.split("\0");
  const [, blocks] = /^.*?\s\d+\s+\d+\s+(\d+)\s+\d+%/.exec(lines(table)[1] ?? "") ?? [];
  const free = blocks === undefined ? undefined : Number(blocks) * 1024;
  const name = `hypersdk-${randomUUID()}`;
  const folder = parent === target ? `${parent}/.${name}${UNSEEN}` : `${parent}/${name}`;
  return { parent, folder, free };
}

/** libvirt tells it itself, but only when all bytes are there. */
async function assertNewVolume({ virsh }: Context, pool: string, volume: string, field: string) {
  const [found] = await virsh.settled([["vol-path", "--pool", pool, "--vol", volume]]);
  if (typeof found === "string") {
    throw new HyperError("already_exists", `${field}: ${volume} is in pool ${pool} already`);
  }
  if (found && found.code !== "not_found") throw found;
}

/** Throws `no_space` if these bytes do not fit. */
export function assertSpace({ parent, free }: Staging, bytes: number, field: string) {
  if (free === undefined || bytes <= free) return;
  const text = `${field}: ${bytes} bytes do not fit into ${parent}, where ${free} are free`;
  throw new HyperError("no_space", text);
}
