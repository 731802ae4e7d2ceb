/**
 * A file from outside on the hypervisor: an archive, or a description. Like an image (storage/import-file.ts) it is
 * opened once per step, and must stay the one that was looked at.
 */
import type { Progress } from "../../core/progress.ts";
import type { Context } from "../../hypervisor/context.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import { allocatedBytes } from "../storage/allocation.ts";
import { LOOK, refusedImage, runOnImage } from "../storage/import-file.ts";
import { allowedPath } from "../storage/import-image.ts";
import { IMAGE_TIMEOUT_MS } from "../storage/volume.ts";
import { watched } from "../watch.ts";
import { ApplianceProblem } from "./appliance.ts";
import type { Algorithm } from "./manifest.ts";

export interface ForeignFile {
  /** The real path, in an allowed folder. */
  path: string;
  id: string;
  size: number;
  /** The first 512 bytes, as far as there are so many. */
  head: Buffer;
  /** The words by which messages name it, the field first. */
  label: string;
}

/** Throws `invalid_input` for a path outside the allowed folders, and for what is no file. */
export async function openForeign(
  ctx: Context,
  field: string,
  given: string,
): Promise<ForeignFile> {
  const path = await allowedPath(ctx, given, field);
  const label = `${field}: ${JSON.stringify(given)}`;
  const look = await ctx.exec(["sh", "-c", LOOK, "sh", path]);
  if (look.exitCode !== 0) throw refusedImage(label, look.stderr.trim().replace(/^sh: \d+: /, ""));
  const [id = "", head = "", , ...opened] = look.stdout.split("\n");
  if (opened.join("\n") !== path) throw refusedImage(label, "was replaced by a link");
  const size = Number(id.split(":")[2]);
  if (size === 0) throw refusedImage(label, "is empty");
  return { path, id, size, head: Buffer.from(head, "hex"), label };
}

/** Prints a piece of the file in base64. */
const PIECE = `tail -c "+$1" /proc/self/fd/3 | head -c "$2" | base64`;

export async function readPiece(
  ctx: Context,
  file: ForeignFile,
  offset: number,
  length: number,
): Promise<Buffer> {
  const argv = ["sh", "-c", PIECE, "sh", `${offset + 1}`, `${length}`];
  const result = await runOnImage(ctx, file, argv);
  if (result.exitCode !== 0) throw programError(`${file.label}: reading it`, result);
  return Buffer.from(result.stdout, "base64");
}

/** The whole of a small file. */
export async function readSmall(ctx: Context, file: ForeignFile, most: number): Promise<Buffer> {
  if (file.size > most) throw refusedImage(file.label, `has more than ${most} bytes`);
  return readPiece(ctx, file, 0, file.size);
}

/** Writes a piece of the file to another one, which must not be there; no path of the archive is ever one of ours. */
const EXTRACT = `set -C; umask 077; tail -c "+$1" /proc/self/fd/3 | head -c "$2" >"$3"`;

export async function extractPiece(
  ctx: Context,
  file: ForeignFile,
  piece: { name: string; offset: number; size: number },
  target: string,
  progress: Progress,
) {
  const { name, offset, size } = piece;
  const argv = ["sh", "-c", EXTRACT, "sh", `${offset + 1}`, `${size}`, target];
  const limits = { timeout: IMAGE_TIMEOUT_MS, signal: ctx.signal };
  const phase = `taking ${name} out of the archive`;
  const look = async () => {
    const bytes = (await allocatedBytes(ctx, [target])) ?? 0;
    return { phase, percent: Math.min(100, (bytes / Math.max(size, 1)) * 100) };
  };
  const result = await watched({ log: ctx.log, progress }, look, () =>
    runOnImage(ctx, file, argv, limits),
  );
  if (result.exitCode !== 0) throw programError(`${file.label}: ${phase}`, result);
}

/** The digest of a file of ours, or of one that stays as it was looked at. */
export async function digestOf(
  ctx: Context,
  { path, id }: { path: string; id?: string },
  algorithm: Algorithm,
): Promise<string> {
  const program = `${algorithm}sum`;
  const limits = { timeout: IMAGE_TIMEOUT_MS, signal: ctx.signal };
  const result = id
    ? await runOnImage(ctx, { path, id }, [program, "/proc/self/fd/3"], limits)
    : await ctx.exec([program, "--", path], limits);
  const [, digest] = result.stdout.match(/^\\?([0-9a-f]+) /) ?? [];
  if (result.exitCode === 0 && digest) return digest;
  throw programError(program, result);
}

/** The same of a piece of a file. */
export async function digestOfPiece(
  ctx: Context,
  file: ForeignFile,
  { offset, size }: { offset: number; size: number },
  algorithm: Algorithm,
): Promise<string> {
  const script = `tail -c "+$1" /proc/self/fd/3 | head -c "$2" | ${algorithm}sum`;
  const argv = ["sh", "-c", script, "sh", `${offset + 1}`, `${size}`];
  const limits = { timeout: IMAGE_TIMEOUT_MS, signal: ctx.signal };
  const result = await runOnImage(ctx, file, argv, limits);
  const [, digest] = result.stdout.match(/^([0-9a-f]+) /) ?? [];
  if (result.exitCode === 0 && digest) return digest;
  throw programError(`${algorithm}sum`, result);
}

/** What a parser finds wrong is the file's fault. */
export function inFile<T>(label: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof ApplianceProblem) throw refusedImage(label, error.message);
    throw error;
  }
}
