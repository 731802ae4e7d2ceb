/**
 * Data files: a qcow2 image may keep its data in another file, which libvirt 9.0 does not know. The image's header
 * tells: https://www.qemu.org/docs/master/interop/qcow2.html
 */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { dataFileOf } from "./image-chain.ts";
import { readQcow2Heads } from "./qcow2-header.ts";
import { readImageInfo } from "./qemu-img.ts";

interface Image {
  path: string;
  type: string;
  format: string | null;
}

const isQcow2 = ({ type, format }: Image) => type === "file" && format === "qcow2";

/** The data files that were read, by image; a changed image is read into another object (images.ts). */
const known = new WeakMap<Image, string | null>();

export const rememberNoDataFile = (image: Image) => known.set(image, null);

/** The data files of images, by the path of the image. An image that cannot be read has none here. */
export async function readDataFiles(
  ctx: Pick<Context, "exec">,
  images: Image[],
): Promise<Map<string, string>> {
  const unread = images.filter((image) => isQcow2(image) && !known.has(image));
  const heads = await readQcow2Heads(
    ctx,
    unread.map(({ path }) => path),
  );
  await Promise.all(
    unread.map(async (image, i) => {
      const dataFile = heads[i]?.hasDataFile
        ? await readNameIn(ctx, image).catch(unreadable)
        : null;
      known.set(image, dataFile);
    }),
  );
  const files = images.map((image) => [image.path, known.get(image)] as const);
  return new Map(files.filter((file): file is [string, string] => Boolean(file[1])));
}

function unreadable(error: unknown): null {
  if (error instanceof HyperError) return null;
  throw error;
}

/** The data file of one image. Throws if the image cannot be read. */
export async function readDataFile(ctx: Pick<Context, "exec">, image: Image) {
  if (!isQcow2(image)) return null;
  const [head] = await readQcow2Heads(ctx, [image.path]);
  return head && !head.hasDataFile ? null : readNameIn(ctx, image);
}

async function readNameIn({ exec }: Pick<Context, "exec">, { path }: Image) {
  return dataFileOf(await readImageInfo(exec, path, "qcow2")) ?? null;
}
