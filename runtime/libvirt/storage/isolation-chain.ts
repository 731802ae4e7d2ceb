/**
 * The files that a disk of a domain is made of. Images on their own name those below them, and whoever made an image
 * may have named any file: what is no image by itself must lie where images lie.
 */
import { dirname } from "node:path";
import { HyperError } from "../../core/errors.ts";
import { settings } from "../../core/settings.ts";
import type { Context } from "../../hypervisor/context.ts";
import { runProgram } from "../program.ts";
import { mayRead, needsRoot } from "./image-access.ts";
import { dataFileOf, readImageChain } from "./image-chain.ts";
import { findVolume } from "./locate.ts";
import { type Conversion, type CopyOptions, convertImage } from "./qemu-img.ts";
import { parseVolume, type Volume } from "./volume.ts";

/** Copies a disk of a domain as an image without a backing file; the caller judges the exit code. */
export async function convertDisk(
  ctx: Context,
  conversion: Omit<Conversion, "reads"> & { sourceFormat: string },
  options: CopyOptions,
) {
  const { source, sourceFormat } = conversion;
  const reads = await readFilesOf(ctx, source, sourceFormat);
  return convertImage(ctx.exec, { ...conversion, reads }, options);
}

/** The disk's own file and all below it. Throws `invalid_input` for one that may be any file of the hypervisor. */
export async function readFilesOf(ctx: Context, path: string, format: string): Promise<string[]> {
  if (format === "raw") return [path];
  const chain = await readImageChain(ctx.exec, path, format).catch(nothing);
  const images = chain.slice(1).map(({ filename }) => filename);
  const dataFiles = chain.flatMap((info) => dataFileOf(info) ?? []);
  const raw = chain.slice(1).filter((info) => info.format === "raw");
  await assertNearImages(ctx, path, [...raw.map(({ filename }) => filename), ...dataFiles]);
  return [...new Set([path, ...images, ...dataFiles])]; // of a chain that cannot be read, qemu-img tells why
}

/** Empty for one that cannot be read. */
function nothing(error: unknown): [] {
  if (!(error instanceof HyperError) || error.code === "unsupported") throw error;
  return [];
}

/**
 * Throws for a volume whose copy by libvirtd, which may read every file, would hold a file that a header names. The
 * headers that the login user may not read are known to libvirt, as far as they are of volumes.
 */
export async function assertCopyable(
  ctx: Context,
  volume: Pick<Volume, "path" | "format" | "backing">,
) {
  const { path, format, backing } = volume;
  if (await mayRead(ctx, path, format ?? "raw")) {
    if (backing) await readFilesOf(ctx, path, format ?? "raw");
    return;
  }
  const seen = new Set<string>();
  for (let below = backing?.path; below && !seen.has(below); ) {
    seen.add(below);
    const found = await findVolume(ctx, below);
    if (!found)
      throw needsRoot(ctx, `${path} stands on ${below}, which no pool has: a copy reads it`);
    below = parseVolume(found.pool, found.text).backing?.path;
  }
}

/** Prints each path without links, one a line. */
const REAL = `for path; do readlink -f "$path" || echo; done`;

async function assertNearImages(ctx: Context, path: string, files: string[]) {
  if (files.length === 0) return;
  const { allowed } = settings().files;
  const argv = ["sh", "-c", REAL, "sh", path, ...files, ...allowed];
  const real = (await runProgram(ctx, argv, {}, "readlink")).stdout.split("\n");
  const folders = [dirname(`${real[0]}`), ...real.slice(1 + files.length)].filter(Boolean);
  for (const [i, file] of files.entries()) {
    const isNear = folders.some((folder) => real[i + 1]?.startsWith(`${folder}/`));
    if (isNear || (await isVolume(ctx, file))) continue;
    const text = `${path} stands on ${file}, a raw file that lies in no pool, beside no image and in no allowed folder`;
    throw new HyperError("invalid_input", `${text} (${allowed.join(", ")})`);
  }
}

const isVolume = async ({ virsh }: Context, path: string) =>
  typeof (await virsh.settled([["vol-pool", "--vol", path]]))[0] === "string";
