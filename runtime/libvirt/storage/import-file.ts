/**
 * The file of a disk image that comes from outside. It is opened once per step and always checked to be the
 * same, unchanged, and programs read it as /proc/self/fd/3: a path could be swapped for a link in between.
 */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import type { ExecOptions } from "../../hypervisor/transport.ts";
import type { Exec } from "./qemu-img.ts";

export interface SourceImage {
  path: string;
  format: string;
  virtualSize: number;
  /** Device, inode, size and time of change: another value means another file, or one that was written to. */
  id: string;
  /** The words by which messages name it, the field first: `source_path: "/data/x"`. */
  label: string;
  /** Its first sector. */
  head: Buffer;
}

/** The path by which a program reads the image. */
export const IMAGE_FD = "/proc/self/fd/3";

const ID = `stat -Lc '%d:%i:%s:%z' ${IMAGE_FD}`;

/**
 * Prints the file's identity, its first and last bytes in hexadecimal, and the path that was really opened. Writes through
 * an older memory mapping need not change any time, so a mapped file is refused.
 */
export const LOOK = `[ -e "$1" ] || { echo "is no file" >&2; exit 1; }
[ -f "$1" ] || { echo "is not a regular file" >&2; exit 1; }
exec 3<"$1" && ${ID} || exit 1
grep -qsE "^[^ ]+ .w.s [^ ]+ [^ ]+ $(stat -Lc %i ${IMAGE_FD}) " /proc/[0-9]*/maps && { echo "is being written to" >&2; exit 1; }
head -c 512 <&3 | od -An -v -tx1 | tr -d ' \\n' && echo &&
  tail -c 512 ${IMAGE_FD} | od -An -v -tx1 | tr -d ' \\n' && echo && readlink -n ${IMAGE_FD}`;

/** The exit code of `WITH` for a file that has changed. */
export const FILE_CHANGED = 99;

/** Runs a program with the file as descriptor 3, if it is the one that was looked at and stays as it was. */
const WITH = `id=$2
[ -f "$1" ] && exec 3<"$1" && [ "$(${ID})" = "$id" ] || { echo "the file has changed" >&2; exit ${FILE_CHANGED}; }
shift 2; "$@"; code=$?
[ "$(${ID})" = "$id" ] || { echo "the file has changed" >&2; exit ${FILE_CHANGED}; }
exit $code`;

/** Describes the image to qemu-img: of the format that was detected, and never with a backing file. */
export function imageNode({ format }: Pick<SourceImage, "format">): string {
  const file = { driver: "file", filename: IMAGE_FD };
  // for most VHDs QEMU would compute a smaller size, from their geometry
  const size = format === "vpc" ? { force_size_calc: "current_size" } : {};
  return `json:${JSON.stringify({ driver: format, ...size, backing: null, file })}`;
}

/** Runs a program that reads the image as `IMAGE_FD`. */
export function runOnImage(
  { exec }: Context,
  { path, id }: Pick<SourceImage, "path" | "id">,
  argv: string[],
  options: Partial<ExecOptions> = {},
) {
  return exec(["sh", "-c", WITH, "sh", path, id, ...argv], options);
}

/** The same, in the place of `ctx.exec`. */
export const onImage =
  (ctx: Context, image: Pick<SourceImage, "path" | "id">): Exec =>
  (argv, options) =>
    runOnImage(ctx, image, argv, options);

/** The error for an image that is refused, and why. */
export const refusedImage = (label: string, why: string) =>
  new HyperError("invalid_input", `${label} ${why}`);
