/**
 * Disk images that come from outside. An attacker may try to read the hypervisor's own files through one: by the
 * path, by a link swapped in, by a header that names another file.
 */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import { settings } from "../../core/settings.ts";
import type { Context } from "../../hypervisor/context.ts";
import type { ExecResult } from "../../hypervisor/transport.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import {
  IMAGE_FD,
  imageNode,
  LOOK,
  onImage,
  refusedImage,
  type SourceImage,
} from "./import-file.ts";
import { archiveProblem, type Ends, headerProblem, isFixedVhd } from "./import-header.ts";
import { type Claim, implausible } from "./import-plausible.ts";
import { assertWhole } from "./import-truncation.ts";
import { type Exec, type ImageInfo, probeImage } from "./qemu-img.ts";
import { realPaths } from "./real-paths.ts";

/** A path on the hypervisor. */
export const Path = z
  .string()
  .regex(/^\/[^\p{Cc}\p{Cs}]*$/u, "must be an absolute path without control characters")
  .max(4096);

/** Formats that an image may have; each is checked for other files that it could refer to. */
export const SourceFormat = z.enum(["raw", "qcow2", "vmdk", "vdi", "vhdx", "vpc"]);

export type SourceFormat = z.output<typeof SourceFormat>;

const RESOLVE_TIMEOUT_MS = 5000;

/** Resolves a path that lies in an allowed folder. The error reveals nothing about what lies elsewhere. */
export async function allowedPath(ctx: Context, path: string, field: string): Promise<string> {
  const { allowed } = settings().files;
  const paths = [path, ...allowed];
  // symbolic links can resolve to ever longer ones, without end
  const resolved = await realPaths(ctx, paths, { timeout: RESOLVE_TIMEOUT_MS }).catch(
    (error: HyperError) => {
      if (error.code !== "timed_out") throw error;
      return new Map<string, string>();
    },
  );
  const [real = "", ...folders] = paths.map((one) => resolved.get(one));
  if (folders.some((folder) => folder && real.startsWith(`${folder}/`))) return real;
  const text = `${field}: ${JSON.stringify(path)} is not in an allowed folder (${allowed.join(", ")})`;
  throw new HyperError("invalid_input", text);
}

/**
 * Inspects an image; an `invalid_input` says why it is refused. `expected` is the format that the caller insists
 * on: a raw disk may begin like an archive, or end like a VHD, by chance.
 */
export async function inspectImage(
  ctx: Context,
  source: string,
  expected?: SourceFormat,
): Promise<SourceImage> {
  const path = await allowedPath(ctx, source, "source_path");
  return inspectFile(ctx, path, `source_path: ${JSON.stringify(source)}`, expected, { name: path });
}

/** The same for a file of ours, by its real path. `claim`: what a raw one is judged by, unless raw is expected. */
export async function inspectFile(
  ctx: Context,
  path: string,
  label: string,
  expected?: SourceFormat,
  claim: Claim = {},
): Promise<SourceImage> {
  const look = await ctx.exec(["sh", "-c", LOOK, "sh", path]);
  if (look.exitCode !== 0) throw refusedImage(label, look.stderr.trim().replace(/^sh: \d+: /, ""));
  const [id = "", head = "", tail = "", ...opened] = look.stdout.split("\n");
  if (opened.join("\n") !== path) throw refusedImage(label, "was replaced by a link");
  const size = Number(id.split(":")[2]);
  const ends = { head: Buffer.from(head, "hex"), tail: Buffer.from(tail, "hex"), size };
  const problem = size === 0 ? "is empty" : headerProblem(ends);
  if (problem) throw refusedImage(label, problem);

  const info = await describeImage(onImage(ctx, { path, id }), label, ends, expected);
  const isGuess = info.format === "raw" && expected !== "raw"; // so qemu-img calls whatever it does not know
  const rawProblem = () => archiveProblem(ends.head) ?? implausible(ends, claim);
  const reason = infoProblem(info, expected) ?? (isGuess ? rawProblem() : undefined);
  if (reason) throw refusedImage(label, reason);
  const image = {
    path,
    format: info.format,
    virtualSize: info["virtual-size"],
    id,
    label,
    head: ends.head,
  };
  await assertWhole(ctx, image, size);
  return image;
}

/** Describes the image as qemu-img detects it, except for VHDs: QEMU knows not all of them, nor their real size. */
async function describeImage(
  exec: Exec,
  label: string,
  ends: Ends,
  expected: SourceFormat | undefined,
): Promise<ImageInfo> {
  const info = await probe(exec, label, IMAGE_FD);
  const isVhd = info.format === "raw" && expected !== "raw" && isFixedVhd(ends);
  if (info.format !== "vpc" && !isVhd) return info;
  return probe(exec, label, imageNode({ format: "vpc" }));
}

async function probe(exec: Exec, label: string, image: string): Promise<ImageInfo> {
  const result = await probeImage(exec, IMAGE_FD, image);
  if (result.exitCode !== 0)
    throw refusedImage(label, `is not a readable image: ${firstLine(result.stderr)}`);
  return JSON.parse(result.stdout);
}

function infoProblem(info: ImageInfo, expected = info.format): string | undefined {
  const accepted: string[] = SourceFormat.options;
  if (!accepted.includes(info.format))
    return `is of format ${info.format}; accepted are ${accepted.join(", ")}`;
  if (info.format !== expected) return `is of format ${info.format}, not ${expected}`;
  if (info["backing-filename"]) return "has a backing file; flatten it first (qemu-img convert)";
  const parts = info["format-specific"]?.data;
  if (parts?.["data-file"]) return "keeps its data in another file";
  if (parts?.extents?.some(({ filename }) => filename !== IMAGE_FD))
    return "is a VMDK whose descriptor names other files; give a single-file image";
  return info.encrypted ? "is encrypted" : undefined;
}

/** Keep the first line of stderr, without the name by which qemu-img opened the image. */
const firstLine = (text: string) => text.split("\n")[0]?.replace(/Could not open '.*': /, "");

/** The error of a failed conversion: a read error of QEMU is the image's fault, all else is not. */
export function conversionError(label: string, result: ExecResult): HyperError {
  return /error while reading /.test(result.stderr)
    ? refusedImage(label, `is damaged or truncated: ${firstLine(result.stderr)}`)
    : programError("qemu-img convert", result);
}
