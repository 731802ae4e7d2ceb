/** Images of another system become files of another format, without a domain. */
import { posix } from "node:path";
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import { inParts, type Progress, unwatched } from "../../core/progress.ts";
import type { Context } from "../../hypervisor/context.ts";
import type { Journal } from "../journal.ts";
import { pathExists, runProgram } from "../program.ts";
import { throwIfCancelled, withRollback } from "../rollback.ts";
import { inCopyPlace } from "../storage/copy-place.ts";
import { mayWrite, needsRoot } from "../storage/image-access.ts";
import { IMAGE_FD, imageNode, onImage, type SourceImage } from "../storage/import-file.ts";
import { allowedPath, conversionError, type SourceFormat } from "../storage/import-image.ts";
import { convertImage } from "../storage/qemu-img.ts";
import { IMAGE_TIMEOUT_MS } from "../storage/volume.ts";
import { withImage } from "./images.ts";
import { readSource } from "./source.ts";
import { assertManifest } from "./verify.ts";

export const ConvertedFile = z.object({
  path: z.string(),
  format: z.string(),
  size_bytes: z.number().describe("of the file"),
  virtual_size_bytes: z.number().describe("as a guest sees it"),
});
export type ConvertedFile = z.output<typeof ConvertedFile>;

export interface Conversion {
  path: string;
  dest: string;
  format: "qcow2" | "raw" | "vmdk" | "vdi" | "vhdx";
  compress: boolean;
  /** What a bare image must be. */
  expected?: SourceFormat | undefined;
}

/** The first disk becomes the file `dest`, further ones lie beside it, numbered: `web.qcow2`, `web-2.qcow2`. */
export async function convertSource(
  ctx: Context,
  { path, dest, format, compress, expected }: Conversion,
): Promise<ConvertedFile[]> {
  if (compress && format !== "qcow2" && format !== "vmdk")
    throw new HyperError("invalid_input", "compression: only qcow2 and vmdk can be compressed");
  const source = await readSource(ctx, "source_path", path);
  const names = source.appliance.disks.flatMap(({ file }) => file ?? []);
  if (names.length === 0)
    throw new HyperError("invalid_input", `${source.file.label} has no disk with an image`);
  const targets = await targetsAt(ctx, dest, names.length);
  await assertManifest(ctx, source);
  return withRollback(ctx, `conversion of ${path} to ${dest}`, async (journal) => {
    const parts = inParts(
      ctx.progress,
      names.map(() => 1),
    );
    const made: ConvertedFile[] = [];
    for (const [i, name] of names.entries()) {
      throwIfCancelled(ctx);
      const target = { path: `${targets[i]}`, format, compress };
      const progress = parts[i] ?? unwatched;
      const staging = { folder: posix.dirname(target.path), progress, expected };
      made.push(
        await withImage(ctx, journal, source, name, staging, (image, told) =>
          inCopyPlace(ctx, () => write(ctx, journal, image, target, told)),
        ),
      );
    }
    return made;
  });
}

/** New files in an allowed folder. Throws `already_exists` for one that is there. */
async function targetsAt(ctx: Context, dest: string, count: number): Promise<string[]> {
  const real = await allowedPath(ctx, dest, "dest_path");
  const folder = posix.dirname(real);
  if (!(await pathExists(ctx, folder)))
    throw new HyperError("invalid_input", `dest_path: the folder ${folder} does not exist`);
  if (!(await mayWrite(ctx, folder))) throw needsRoot(ctx, `dest_path: this writes to ${folder}`);
  const ending = posix.extname(real);
  const stem = real.slice(0, real.length - ending.length);
  const paths = Array.from({ length: count }, (_, i) =>
    i === 0 ? real : `${stem}-${i + 1}${ending}`,
  );
  for (const path of paths)
    if (await pathExists(ctx, path))
      throw new HyperError("already_exists", `dest_path: ${path} exists already`);
  return paths;
}

/** Makes an empty file, never in the place of another. */
const CREATE = `set -C; umask 077; : >"$1"`;

async function write(
  ctx: Context,
  journal: Journal,
  image: SourceImage,
  { path, format, compress }: { path: string; format: Conversion["format"]; compress: boolean },
  progress: Progress,
): Promise<ConvertedFile> {
  await journal.track({ kind: "file", path }, () =>
    runProgram(ctx, ["sh", "-c", CREATE, "sh", path]),
  );
  const phase = `converting ${image.format} to ${format}`;
  const into = { target: path, targetFormat: format, compress };
  const conversion = { source: imageNode(image), reads: [IMAGE_FD], ...into };
  const onPercent = (percent: number) => progress({ phase, percent });
  const limits = { timeout: IMAGE_TIMEOUT_MS, signal: ctx.signal, onPercent };
  const result = await convertImage(onImage(ctx, image), conversion, limits);
  if (result.exitCode !== 0) throw conversionError(image.label, result);
  const { stdout } = await runProgram(ctx, ["stat", "-c", "%s", "--", path]);
  return { path, format, size_bytes: Number(stdout), virtual_size_bytes: image.virtualSize };
}
