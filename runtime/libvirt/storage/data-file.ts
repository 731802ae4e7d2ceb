/**
 * Data files: a qcow2 image may keep its data in another file, which libvirt 9.0 does not know. The image's header
 * tells: https://www.qemu.org/docs/master/interop/qcow2.html
 */
import { dirname, resolve } from "node:path";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import { readImageInfo } from "./qemu-img.ts";

interface Image {
  path: string;
  type: string;
  format: string | null;
}

const HEADER_BYTES = 80;
const EXTERNAL_DATA = 4;
const isQcow2 = ({ type, format }: Image) => type === "file" && format === "qcow2";

/** The data files that were read, by image; a changed image is read into another object (images.ts). */
const known = new WeakMap<Image, string | null>();

/** The data files of images, by the path of the image. An image that cannot be read has none here. */
export async function readDataFiles(
  ctx: Pick<Context, "exec">,
  images: Image[],
): Promise<Map<string, string>> {
  const unread = images.filter((image) => isQcow2(image) && !known.has(image));
  const headers = await readHeaders(
    ctx,
    unread.map(({ path }) => path),
  );
  await Promise.all(
    unread.map(async (image, i) => {
      const header = headers[i];
      if (!header) return;
      const dataFile = hasDataFile(header) ? await dataFileOf(ctx, image).catch(unreadable) : null;
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
  const [header] = await readHeaders(ctx, [image.path]);
  return header && !hasDataFile(header) ? null : dataFileOf(ctx, image);
}

async function dataFileOf({ exec }: Pick<Context, "exec">, { path }: Image) {
  const info = await readImageInfo(exec, path, "qcow2");
  const name = info["format-specific"]?.data?.["data-file"];
  return name ? resolve(dirname(path), name) : null;
}

const hasDataFile = (header: Buffer) =>
  header.readUInt32BE(4) >= 3 && (header.readUInt8(79) & EXTERNAL_DATA) > 0;

/** Prints the first bytes of all files after each other. */
const HEADERS = `xargs -0 head -q -c ${HEADER_BYTES} -- | od -An -v -tx1`;

/** The headers of many images by one process; undefined for one that cannot be read, which is found by halving. */
async function readHeaders(
  ctx: Pick<Context, "exec">,
  paths: string[],
): Promise<(Buffer | undefined)[]> {
  if (paths.length === 0) return [];
  const result = await ctx.exec(["sh", "-c", HEADERS], { input: paths.join("\0") });
  if (result.exitCode !== 0) throw programError("reading the headers of images", result);
  const bytes = Buffer.from(result.stdout.replace(/\s/g, ""), "hex");
  const headers = paths.map((_, i) => bytes.subarray(i * HEADER_BYTES, (i + 1) * HEADER_BYTES));
  const isComplete = (header: Buffer) =>
    header.length === HEADER_BYTES && header.toString("latin1", 0, 4) === "QFI\xfb";
  if (bytes.length === paths.length * HEADER_BYTES && headers.every(isComplete)) return headers;
  if (paths.length === 1) return [undefined];
  const middle = Math.ceil(paths.length / 2);
  const first = await readHeaders(ctx, paths.slice(0, middle));
  return [...first, ...(await readHeaders(ctx, paths.slice(middle)))];
}
