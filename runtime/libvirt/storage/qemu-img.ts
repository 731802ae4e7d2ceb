/** qemu-img: the one place that knows its command line. */
import type { ExecOptions, ExecResult } from "../../hypervisor/transport.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";

/** How qemu-img is run: `ctx.exec`, or one that opens a foreign image's file for it (import-file.ts). */
export type Exec = (argv: string[], options?: Partial<ExecOptions>) => Promise<ExecResult>;

/** The part of `qemu-img info --output=json` that is used. */
export interface ImageInfo {
  filename: string;
  format: string;
  "virtual-size": number;
  "backing-filename"?: string;
  "full-backing-filename"?: string;
  "backing-filename-format"?: string;
  encrypted?: boolean;
  "format-specific"?: { data?: { "data-file"?: string } };
}

/** Describes an image, also while a guest writes to it. qemu-img detects the format only if it is undefined. */
export async function readImageInfo(
  exec: Exec,
  path: string,
  format: string | undefined,
): Promise<ImageInfo> {
  const options = ["-U", "--output=json", ...(format ? ["-f", format] : [])];
  const result = await exec(["qemu-img", "info", ...options, path]);
  if (result.exitCode !== 0) throw programError("qemu-img info", result);
  return JSON.parse(result.stdout);
}

/** Describes an image and those below it, from the top down; undefined if one of them cannot be read. */
export async function readImageChain(
  exec: Exec,
  path: string,
  format: string,
): Promise<ImageInfo[] | undefined> {
  const options = ["-U", "--backing-chain", "--output=json", "-f", format];
  const result = await exec(["qemu-img", "info", ...options, path]);
  return result.exitCode === 0 ? JSON.parse(result.stdout) : undefined;
}

/** Describes an image and those below it; the caller judges the exit code. */
export const describeChain = (exec: Exec, path: string, format: string) =>
  exec(["qemu-img", "info", "-U", "--backing-chain", "--output=json", "-f", format, path]);

/** Makes an overlay in the place of a file. */
export const createOverlay = (
  exec: Exec,
  path: string,
  backing: { path: string; format: string; size: number },
) => {
  const below = ["-F", backing.format, "-b", backing.path];
  return exec(["qemu-img", "create", "-q", "-f", "qcow2", ...below, path, `${backing.size}`]);
};

/** Describes an image whose format qemu-img detects; the caller judges the exit code. */
export const probeImage = (exec: Exec, path: string) =>
  exec(["qemu-img", "info", "--output=json", path]);

/** Checks an image's metadata; the exit code tells the kind of damage. */
export const checkImage = (exec: Exec, path: string, format: string, timeout: number) =>
  exec(["qemu-img", "check", "--output=json", "-f", format, path], { timeout });

export interface Conversion {
  /** A path, or a `json:` description of one. */
  source: string;
  /** Undefined only where `source` names the format itself. */
  sourceFormat?: string;
  target: string;
  targetFormat: string;
  /** The target exists already; `zero` if it reads as zeros so far. Otherwise it is created, or made anew. */
  existing?: { zero: boolean };
  /** The source may be open for writing elsewhere: a paused guest has it. */
  shared?: boolean;
  compress?: boolean;
}

/**
 * How an image of this size is copied into a volume that libvirt has just made. libvirt calls qemu-img with a whole
 * number of KiB, so that an image of another size is made anew in the volume's file; a VHD as well, whose size QEMU
 * would round up to a disk geometry.
 */
export function intoVolume(
  volume: { path: string; type: string; format: string | null },
  size: number,
): Pick<Conversion, "target" | "targetFormat" | "existing"> {
  const isFile = volume.type === "file";
  const targetFormat = isFile ? (volume.format ?? "raw") : "raw"; // libvirt calls a partition's "none"
  const isAnew = isFile && (targetFormat === "vpc" || (targetFormat !== "raw" && size % 1024 > 0));
  const into = { target: volume.path, targetFormat };
  return isAnew ? into : { ...into, existing: { zero: isFile } }; // zero, so that sparse stays sparse
}

/** Copies an image as one without a backing file; the caller judges the exit code. */
export function convertImage(
  exec: Exec,
  { source, sourceFormat, target, targetFormat, existing, shared, compress }: Conversion,
  options: Partial<ExecOptions>,
) {
  const flags = [
    ...(existing ? ["-n"] : []),
    ...(shared ? ["-U"] : []),
    ...(existing?.zero ? ["--target-is-zero"] : []),
    ...(compress ? ["-c"] : []),
    ...(targetFormat === "vpc" && !existing ? ["-o", "force_size=on"] : []),
    ...(sourceFormat ? ["-f", sourceFormat] : []),
  ];
  return exec(["qemu-img", "convert", ...flags, "-O", targetFormat, source, target], options);
}

/** Where the last grain of a VMDK ends. Compressed grains are not told; they have checksums. */
const MAP_END = `qemu-img map --output=json -f vmdk "$1" | awk '
function number(key) { return match($0, "\\"" key "\\": [0-9]+") ? substr($0, RSTART + length(key) + 4, RLENGTH - length(key) - 4) : -1 }
{ at = number("offset"); if (at >= 0 && at + number("length") > end) end = at + number("length") }
END { if (NR == 0) exit 1; printf "%.0f", end }'`;

/** Reads where the data of a VMDK ends in its file, in bytes. */
export async function readVmdkEnd(exec: Exec, path: string, timeout: number): Promise<number> {
  const result = await exec(["sh", "-c", MAP_END, "sh", path], { timeout });
  if (result.exitCode !== 0) throw programError("qemu-img map", result);
  return Number(result.stdout);
}
