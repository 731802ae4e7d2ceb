/** Whether what an image holds fits into a pool: asked before anything of it is copied. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { parseXml, textOf } from "../xml.ts";
import { IMAGE_FD, imageNode, onImage, type SourceImage } from "./import-file.ts";
import { measureImage } from "./qemu-img.ts";

/** Pools whose volumes are files, which take space as they are written to. Of others libvirt takes the whole size at once. */
export const OF_FILES = /^(dir|fs|netfs|vstorage)$/;
/** QEMU looks at each part of an image; for one that it does not measure so soon, the copy tells. */
const MEASURE_MS = 60_000;

/**
 * Throws `no_space` for an image of which more is to be written than the pool's file system has left. A raw one is left
 * to the copy: how much of it is zeros, which take no space, shows only when all is read.
 */
export async function assertFits(ctx: Context, image: SourceImage, pool: string) {
  if (image.format === "raw") return;
  const [needed, free] = await Promise.all([measured(ctx, image), freeIn(ctx, pool)]);
  if (needed === undefined || free === undefined || needed <= free) return;
  const text = `${image.label} holds ${needed} bytes, and pool ${pool} has ${free} left`;
  throw new HyperError("no_space", text);
}

/** Undefined where QEMU does not tell. */
function measured(ctx: Context, image: SourceImage): Promise<number | undefined> {
  const limits = { timeout: MEASURE_MS, signal: ctx.signal };
  const exec = onImage(ctx, image);
  const wanted = { path: imageNode(image), reads: [IMAGE_FD] };
  return measureImage((argv) => exec(argv, limits), wanted).catch((cause) => {
    ctx.log.info({ cause }, `${image.path} cannot be measured.`);
    return undefined;
  });
}

/** Undefined where it is not known. */
async function freeIn({ virsh, exec }: Context, pool: string): Promise<number | undefined> {
  const definition = parseXml(await virsh(["pool-dumpxml", "--pool", pool]), "pool");
  const folder = textOf(definition, "target", "path");
  if (!OF_FILES.test(`${definition["@type"]}`) || folder === undefined) return undefined;
  return freeBytes({ exec }, folder);
}

/** What the folder's file system has left now: libvirt remembers what it has seen last. Undefined where it does not tell. */
export async function freeBytes(
  { exec }: Pick<Context, "exec">,
  folder: string,
): Promise<number | undefined> {
  const { exitCode, stdout } = await exec(["stat", "-f", "-c", "%a %S", "--", folder]);
  const [blocks, size] = stdout.split(" ").map(Number);
  return exitCode === 0 && blocks !== undefined && size ? blocks * size : undefined;
}
