/**
 * What a disk is attached to must be free, and made of files that the caller may use. QEMU opens whatever an image's
 * header names, and whoever made the image may have named any file or server.
 */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { foreignImage, nameFor, shownTo } from "../shown-domains.ts";
import { mayRead } from "./image-access.ts";
import { readImageChain } from "./image-chain.ts";
import { assertCopyable, readFilesOf } from "./isolation-chain.ts";
import { mayBeInUse } from "./look.ts";
import { readLooseFiles } from "./loose-files.ts";
import { readStorage, type Storage } from "./usage.ts";
import type { Use } from "./uses.ts";

export interface Image {
  path: string;
  /** As QEMU is to open it. */
  format: string;
  /** Undefined for a file that no pool has. */
  pool: string | undefined;
  name: string;
  backing: { path: string; format: string | null } | null;
}

export interface Sharing {
  readOnly: boolean;
  shareable: boolean;
}

/** Throws, naming `field`, unless the domain may have the image as its disk. Returns the paths of the images below. */
export async function assertAttachable(
  ctx: Context,
  domain: string,
  image: Image,
  sharing: Sharing,
  field: string,
  known?: Storage,
): Promise<string[]> {
  const storage = known ?? (await readStorage(ctx));
  await lookUpUsers(ctx, storage, [image]);
  assertNotUsed(ctx, storage, domain, image, sharing, field);
  if (!sharing.readOnly) await assertNoBase(ctx, storage, image, field);
  const below = await imagesBelow(ctx, image, field);
  await lookUpUsers(ctx, storage, below.map(placeOf));
  for (const path of below) assertStillBase(ctx, storage, image, path, field);
  return below;
}

/** An image that is known by its path alone. */
export const placeOf = (path: string) => ({ path, pool: undefined, name: path });

/** Their domains came out of storage: nobody has named them, so nothing is known of the caller's right to them. */
async function lookUpUsers(
  ctx: Context,
  storage: Storage,
  images: Parameters<Storage["disksUsing"]>[0][],
) {
  const users = images.flatMap((image) => storage.disksUsing(image).map(({ domain }) => domain));
  if (users.length > 0) await ctx.rights.lookUp(ctx.host, [...new Set(users)]);
}

/** A name that QEMU takes for something else than a file: `nbd:…`, `json:…`. */
const NO_FILE = /^[A-Za-z][\w.+-]*:/;

/** The images below. Throws for one that cannot be read, that is no file, or that may be any file of the hypervisor. */
async function imagesBelow(ctx: Context, image: Image, field: string): Promise<string[]> {
  const { path, format } = image;
  if (format === "raw") return [];
  const refuse = (why: string, cause?: unknown) =>
    new HyperError("invalid_input", `${field}: ${path} ${why}`, { cause });
  if (!(await mayRead(ctx, path, format))) {
    await assertCopyable(ctx, image); // libvirt knows the headers of volumes
    return image.backing ? [image.backing.path] : [];
  }
  const chain = await readImageChain(ctx.exec, path, format).catch((error: unknown) => {
    if (!(error instanceof HyperError) || error.code === "unsupported") throw error;
    throw refuse(`cannot be read as ${format}: ${error.message}`, error);
  });
  const names = chain.flatMap((info) => info["backing-filename"] ?? []);
  const strange = names.find((name) => NO_FILE.test(name));
  if (strange) throw refuse(`stands on ${strange}, which is no file`);
  await readFilesOf(ctx, path, format).catch((error: unknown) => {
    if (!(error instanceof HyperError)) throw error;
    throw new HyperError(error.code, `${field}: ${error.message}`, { cause: error });
  });
  return chain.slice(1).map(({ filename }) => filename);
}

/** Two domains may have one image if both share it, or if neither writes to it. */
export function assertNotUsed(
  ctx: Context,
  storage: Storage,
  domain: string,
  image: Pick<Image, "path" | "pool" | "name">,
  { readOnly, shareable }: Sharing,
  field: string,
) {
  const uses = storage.disksUsing(image);
  const own = uses.find((use) => use.domain === domain && !use.below);
  if (own) {
    const text = `${field}: domain ${domain} has ${image.name} already, as ${own.target}`;
    throw new HyperError("already_exists", text);
  }
  const isReader = (use: Use) => use.below || !use.writes;
  const isFine = (use: Use) =>
    (readOnly && isReader(use)) || (shareable && use.shared && use.writes);
  const other = uses.find((use) => !isFine(use));
  if (!other) return;
  const seen = ctx.rights.sees(ctx.host, other.domain);
  const how = !seen ? "" : other.below ? ` below its disk ${other.target}` : ` as ${other.target}`;
  const text = `${field}: ${nameFor(ctx, other.domain)} uses ${image.name}${how}; only a disk that is shareable in both, or read-only in both, can be in two domains`;
  throw new HyperError("in_use", text, { details: { domains: shownTo(ctx, [other.domain]) } });
}

/** What is written to a base corrupts the images on it. */
async function assertNoBase(ctx: Context, storage: Storage, image: Image, field: string) {
  const children = [...storage.overlaysOf(image), ...storage.dataUsersOf(image)];
  if (image.pool === undefined) {
    const { files } = await readLooseFiles(ctx, storage, [image.path]);
    children.push(...(files.get(image.path)?.users ?? []).map(({ path }) => path));
  }
  if (children.length > 0) {
    const text = `${field}: ${image.name} is the base of ${children.join(", ")}, which would break if a guest wrote to it`;
    throw new HyperError("in_use", text, { details: { children } });
  }
  const isUsed = storage.disksUsing(image).length > 0;
  if (!isUsed && storage.unknown.length > 0) throw mayBeInUse(ctx, image.name, storage.unknown);
}

/** An image below must be of a domain that the caller may see, and none may write to it. */
function assertStillBase(
  ctx: Context,
  storage: Storage,
  image: Image,
  path: string,
  field: string,
) {
  for (const use of storage
    .disksUsing(placeOf(path))
    .filter(({ below, shared }) => !below && !shared)) {
    if (!ctx.rights.sees(ctx.host, use.domain)) throw foreignImage(ctx, image.name);
    if (!use.running) continue;
    const text = `${field}: ${image.name} stands on ${path}, to which the running domain ${use.domain} writes`;
    throw new HyperError("in_use", text, { details: { domains: [use.domain] } });
  }
}
