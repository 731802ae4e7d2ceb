/** qemu-img: the one place that knows its command line, and starts it, always isolated. */
import type { ExecOptions, ExecResult } from "../../hypervisor/transport.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import { assertIsolated, type Files, isolate } from "../isolation.ts";
import { percentReader } from "./qemu-img-percent.ts";

/** How qemu-img is run: `ctx.exec`, or one that opens a foreign image's file for it (import-file.ts). */
export type Exec = (argv: string[], options?: Partial<ExecOptions>) => Promise<ExecResult>;

/** Runs qemu-img where it can open these files and no other. */
async function run(
  exec: Exec,
  files: Files,
  words: string[],
  options?: Partial<ExecOptions>,
): Promise<ExecResult> {
  const result = await exec(isolate(["qemu-img", ...words], files), options);
  assertIsolated("qemu-img", result);
  return result;
}

/** The part of `qemu-img info --output=json` that is used. */
export interface ImageInfo {
  filename: string;
  format: string;
  "virtual-size": number;
  /** What its own file takes, in bytes. */
  "actual-size"?: number;
  "backing-filename"?: string;
  "full-backing-filename"?: string;
  "backing-filename-format"?: string;
  encrypted?: boolean;
  "format-specific"?: { data?: { "data-file"?: string; extents?: { filename: string }[] } };
}

/** What the image takes; undefined for one that stands on others, or has its data elsewhere. */
export const dataOf = (info: ImageInfo): number | undefined =>
  info["backing-filename"] || info["format-specific"]?.data?.["data-file"]
    ? undefined
    : info["actual-size"];

/** Describes an image, also while a guest writes to it. qemu-img detects the format only if it is undefined. */
export async function readImageInfo(
  exec: Exec,
  path: string,
  format: string | undefined,
): Promise<ImageInfo> {
  const options = ["info", "-U", "--output=json"];
  const files = { reads: [path] };
  const plain = [...options, ...(format ? ["-f", format] : []), path];
  const result = await run(exec, files, plain);
  if (result.exitCode === 0) return JSON.parse(result.stdout);
  if (format && format !== "qcow2") throw programError("qemu-img info", result);
  // a data file is not there; another one in its place lets qemu-img tell its name
  const other = await run(exec, files, [...options, dataFileApart(path)]);
  if (other.exitCode !== 0) throw programError("qemu-img info", result);
  return { ...JSON.parse(other.stdout), filename: path };
}

function dataFileApart(path: string): string {
  const file = { driver: "file", filename: path };
  const none = { driver: "null-co", "read-zeroes": true };
  return `json:${JSON.stringify({ driver: "qcow2", file, "data-file": none, backing: null })}`;
}

/** Describes an image whose format qemu-img detects; the caller judges the exit code. */
export const probeImage = (exec: Exec, path: string, image = path) =>
  run(exec, { reads: [path] }, ["info", "--output=json", image]);

/** Checks an image's metadata; the exit code tells the kind of damage. */
export const checkImage = (exec: Exec, path: string, format: string, timeout: number) =>
  run(exec, { reads: [path] }, ["check", "--output=json", "-f", format, path], { timeout });

/**
 * What an image will take as a sparse copy, in bytes, by the measure of a qcow2: of a raw file qemu-img counts the holes
 * too. `reads`: its file and those below it. `format`: undefined only where `path` names it itself.
 */
export async function measureImage(
  exec: Exec,
  { path, format, reads }: { path: string; format?: string; reads: string[] },
): Promise<number> {
  const from = format === undefined ? [] : ["-f", format];
  const words = ["measure", "--output=json", "-U", ...from, "-O", "qcow2", path];
  const result = await run(exec, { reads }, words);
  if (result.exitCode !== 0) throw programError("qemu-img measure", result);
  return JSON.parse(result.stdout).required;
}

export interface Conversion {
  /** A path, or a `json:` description of one. */
  source: string;
  /** The files that the source is made of, by the names that it gives them. @default the source itself */
  reads?: string[];
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

/** Makes an overlay, in the place of a file if there is one; no other file is opened. */
export function createOverlay(
  exec: Exec,
  path: string,
  backing: { path: string; format: string; size: number },
  format = "qcow2",
) {
  const below = ["-u", "-F", backing.format, "-b", backing.path];
  const words = ["create", "-q", "-f", format, ...below, path, `${backing.size}`];
  return run(exec, { writes: [path] }, words);
}

/** Makes an empty image in the place of a file, on another one where one is given; no other file is opened. */
export function createImage(
  exec: Exec,
  path: string,
  { format, size }: { format: string; size: number },
  backing?: { path: string; format: string | null },
) {
  if (backing)
    return createOverlay(exec, path, { ...backing, format: backing.format ?? "raw", size }, format);
  return run(exec, { writes: [path] }, ["create", "-q", "-f", format, path, `${size}`]);
}

/** `onPercent` is told how far the copy is, 0 to 100. */
export interface CopyOptions extends Partial<ExecOptions> {
  onPercent?: (percent: number) => void;
}

/** Copies an image as one without a backing file; the caller judges the exit code. */
export function convertImage(
  exec: Exec,
  { source, reads, sourceFormat, target, targetFormat, existing, shared, compress }: Conversion,
  { onPercent, ...options }: CopyOptions,
) {
  const percent = onPercent && percentReader(onPercent);
  const told = percent && {
    onOutput: (text: string, stream: string) => stream === "stdout" && percent(text),
  };
  const flags = [
    ...(told ? ["-p"] : []),
    ...(existing ? ["-n"] : []),
    ...(shared ? ["-U"] : []),
    ...(existing?.zero ? ["--target-is-zero"] : []),
    ...(compress ? ["-c"] : []),
    // to any other VMDK qemu-img writes without compression, and without a word
    ...(compress && targetFormat === "vmdk" ? ["-o", "subformat=streamOptimized"] : []),
    ...(targetFormat === "vpc" && !existing ? ["-o", "force_size=on"] : []),
    ...(sourceFormat ? ["-f", sourceFormat] : []),
  ];
  const words = ["convert", ...flags, "-O", targetFormat, source, target];
  return run(exec, { reads: reads ?? [source], writes: [target] }, words, { ...options, ...told });
}

/** Where the last grain of a VMDK ends. Compressed grains are not told; they have checksums. */
const MAP_END = `{ "$@"; echo "exit $?"; } | awk '
function number(key) { return match($0, "\\"" key "\\": [0-9]+") ? substr($0, RSTART + length(key) + 4, RLENGTH - length(key) - 4) : -1 }
{ at = number("offset"); if (at >= 0 && at + number("length") > end) end = at + number("length"); code = $2 }
END { if (code > 0) exit code; printf "%.0f", end }'`;

/** Reads where the data of a VMDK ends in its file, in bytes. */
export async function readVmdkEnd(exec: Exec, path: string, timeout: number): Promise<number> {
  const map = ["qemu-img", "map", "--output=json", "-f", "vmdk", path];
  const argv = ["sh", "-c", MAP_END, "sh", ...isolate(map, { reads: [path] })];
  const result = await exec(argv, { timeout });
  assertIsolated("qemu-img", result);
  if (result.exitCode !== 0) throw programError("qemu-img map", result);
  return Number(result.stdout);
}
