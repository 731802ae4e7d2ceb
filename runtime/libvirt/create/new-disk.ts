/** The plan of a disk that is to be made: a new volume, empty, a copy of an image, or an overlay on one. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import type { Plan as CopyPlan } from "../clone/disks.ts";
import { assertListed, isUrl } from "../download/url.ts";
import { assertAttachable } from "../storage/attachable.ts";
import { mayRead } from "../storage/image-access.ts";
import { readFilesOf } from "../storage/isolation-chain.ts";
import { findImage } from "../storage/locate.ts";
import { measureImage } from "../storage/qemu-img.ts";
import { assertAtRest, readImageVolume } from "./existing.ts";
import { inField } from "./field.ts";
import type { PlannedDisk, Planning, Spot } from "./planned.ts";
import { assertNoVolume, type DiskPool, readDiskPool, readFormats } from "./pools.ts";
import type { DiskWish } from "./wish.ts";

/** The volume is named after the domain, those of further disks after their targets too. */
export async function planNew(
  planning: Planning,
  wish: DiskWish,
  { index, field, target, bus }: Spot,
  pool: DiskPool,
): Promise<PlannedDisk> {
  const { ctx, domain } = planning;
  const format = await formatIn(ctx, field, pool, wish);
  const ending = pool.isFolder ? `.${format}` : "";
  const name = `${domain}${index === 0 ? "" : `-${target}`}${ending}`;
  await assertNoVolume(ctx, field, pool.name, name);
  const path = `${pool.folder}/${name}`;
  const disk = { field, target, bus, device: "disk" as const, format, path, pool: pool.name, name };
  if (wish.image === undefined) {
    const { size = 0 } = wish;
    if (!pool.isFolder) planning.needs.push({ field: `${field}.size`, pool, bytes: size });
    return { ...disk, size, make: { empty: true } };
  }
  const { linked, image, image_pool, size } = wish;
  if (isUrl(image)) {
    assertListed(new URL(image), `${field}.image`);
    const { sha256, sha512 } = wish;
    return { ...disk, size: size ?? 0, make: { fetch: { url: image, sha256, sha512 } } };
  }
  const from = await planSource(planning, field, { pool: image_pool ?? pool.name, image, linked });
  if (size !== undefined && size < from.size) {
    const text = `${field}.size: ${size} bytes are less than the ${from.size} of image ${image}`;
    throw new HyperError("invalid_input", text);
  }
  const capacity = size ?? from.size;
  const bytes = pool.isFolder
    ? linked
      ? 0
      : await inField(`${field}.image`, () => bytesOf(ctx, from))
    : capacity;
  planning.needs.push({ field: `${field}.image`, pool, bytes });
  const copy = { target, from, linked, pool: pool.name, name, path, format, capacity };
  return { ...disk, size: capacity, make: { copy } };
}

async function planSource(
  { ctx, domain, storage }: Planning,
  disk: string,
  { pool, image, linked }: { pool: string; image: string; linked: boolean },
) {
  const field = `${disk}.image`;
  const source = await readDiskPool(ctx, `${disk}.image_pool`, pool);
  const volume = await readImageVolume(ctx, field, { pool: source.name, name: image }, (place) =>
    assertAtRest(ctx, storage, place, field, linked),
  );
  // a copy is made where nothing else can be opened, but an overlay has what is below opened by QEMU
  const below = { readOnly: true, shareable: false };
  if (linked) await assertAttachable(ctx, domain, volume, below, field, storage);
  const { format } = volume;
  const named = { kind: "volume", pool: source.name, volume: image, format, target: image };
  const about = { device: "disk", encrypted: false, readonly: true, shareable: false };
  const flags = { transient: false, sharesBacking: false, backingChain: [] };
  return inField(field, () => findImage(ctx, { ...named, ...about, ...flags }, domain));
}

/** What a copy takes. Compressed clusters grow, so QEMU is asked where the login user may read the image. */
async function bytesOf(ctx: Context, from: CopyPlan["from"]): Promise<number> {
  const { path, data = 0 } = from;
  if (!(await mayRead(ctx, path, from.format))) return data;
  const reads = await readFilesOf(ctx, path, from.format);
  return measureImage(ctx.exec, { path, format: from.format, reads });
}

async function formatIn(ctx: Context, field: string, pool: DiskPool, wish: DiskWish) {
  const formats = await readFormats(ctx, pool.type);
  const isAble = formats.includes("qcow2");
  const format = wish.format ?? (isAble ? "qcow2" : "raw");
  if (format === "raw" && !wish.linked) return format;
  if (isAble) return format;
  const what = wish.linked ? "linked: an overlay is a qcow2, which" : "format: qcow2 is what";
  const text = `${field}.${what} a volume of pool ${pool.name}, of type ${pool.type}, cannot be`;
  throw new HyperError("unsupported", text);
}
