/**
 * The file of a disk image that comes from outside. It is opened once per step and always checked to be the
 * same, unchanged, and programs read it as /proc/self/fd/3: a path could be swapped for a link in between.
 */

import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";

export interface SourceImage {
  path: string;
  format: string;
  virtualSize: number;
  /** Device, inode, size and time of change: another value means another file, or one that was written to. */
  id: string;
}

const ID = "stat -Lc '%d:%i:%s:%z' /proc/self/fd/3";

/**
 * Prints the file's identity, its first bytes in hexadecimal, and the path that was really opened. What is
 * written through a mapping that was there before need not change any time, so a mapped file is refused.
 */
export const LOOK = `[ -e "$1" ] || { echo "is no file" >&2; exit 1; }
[ -f "$1" ] || { echo "is not a regular file" >&2; exit 1; }
exec 3<"$1" && ${ID} || exit 1
grep -qsE "^[^ ]+ .w.s [^ ]+ [^ ]+ $(stat -Lc %i /proc/self/fd/3) " /proc/[0-9]*/maps && { echo "is being written to" >&2; exit 1; }
head -c 512 <&3 | od -An -v -tx1 | tr -d ' \\n' && echo && readlink -n /proc/self/fd/3`;

/** Runs a program with the file as descriptor 3, if it is the one that was looked at and stays as it was. */
const WITH = `id=$2
[ -f "$1" ] && exec 3<"$1" && [ "$(${ID})" = "$id" ] || { echo "the file has changed" >&2; exit 99; }
shift 2; "$@"; code=$?
[ "$(${ID})" = "$id" ] || { echo "the file has changed" >&2; exit 99; }
exit $code`;

/** The image for qemu-img's eyes: of the format that was found, and never with a backing file. */
export function imageNode({ format }: Pick<SourceImage, "format">): string {
  const file = { driver: "file", filename: "/proc/self/fd/3" };
  return `json:${JSON.stringify({ driver: format, backing: null, file })}`;
}

/** Run a program that reads the image as /proc/self/fd/3. */
export function readImage(
  { exec }: Context,
  { path, id }: Pick<SourceImage, "path" | "id">,
  argv: string[],
  options: { timeout?: number; signal?: AbortSignal } = {},
) {
  return exec(["sh", "-c", WITH, "sh", path, id, ...argv], options);
}

/** Why an image is not taken. */
export const refuse = (path: string, why: string) =>
  new HyperError("invalid_input", `source_path: ${JSON.stringify(path)} ${why}`);
