/**
 * Image files that no pool has. One may be removed with its domain if it lies where files may be made and nothing
 * stands on it. What cannot be read may stand on it.
 */
import { posix } from "node:path";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { runProgram } from "../program.ts";
import type { Kept } from "./delete-volume.ts";
import { areTouchable } from "./locate.ts";
import { imagesBelow } from "./look.ts";
import { readQcow2Heads } from "./qcow2-header.ts";
import { realPaths } from "./real-paths.ts";
import type { Storage } from "./usage.ts";

export interface LooseFile {
  /** With every symbolic link resolved. */
  path: string;
  name: string;
  pool: undefined;
  /** Images that stand or may stand on it, other than those that domains use, each with the reason to keep it. */
  users: Kept[];
}

/** An image that stands on others; `on` is undefined where that cannot be read. */
interface Overlay {
  path: string;
  on: string[] | undefined;
}

export const NO_POOL = "it is in no active pool";

/** Which of these files may be removed as far as their places tell, and why the others may not, by real path. */
export async function readLooseFiles(
  ctx: Context,
  storage: Storage,
  paths: string[],
): Promise<{ files: Map<string, LooseFile>; kept: Map<string, string> }> {
  const [files, kept] = [new Map<string, LooseFile>(), new Map<string, string>()];
  if (paths.length === 0) return { files, kept };
  const [states, touchable] = await Promise.all([stateOf(ctx, paths), areTouchable(ctx, paths)]);
  const may = paths.filter((path, i) => {
    if (states[i] === "removable" && touchable[i]) return true;
    const isDenied = states[i] === "denied" && touchable[i];
    kept.set(path, isDenied ? `${NO_POOL}, and ${deniedTo(ctx)}` : NO_POOL);
    return false;
  });
  if (may.length === 0) return { files, kept };
  const overlays = (
    await Promise.all([
      sharedOverlays(ctx, storage),
      overlaysBeside(ctx, storage, may),
      runningOverlays(ctx, storage),
    ])
  ).flat();
  const bases = overlays.flatMap(({ on }) => on ?? []);
  const real = await realPaths(ctx, bases, {}, storage.real);
  for (const path of may) {
    const users = overlays.flatMap((overlay) => reasonFor(path, overlay, real));
    files.set(path, { path, name: posix.basename(path), pool: undefined, users });
  }
  return { files, kept };
}

function reasonFor(path: string, overlay: Overlay, real: Map<string, string>): Kept[] {
  if (!overlay.on) {
    const reason = `it may be the base of ${overlay.path}, which cannot be read`;
    return overlay.path === path ? [] : [{ path: overlay.path, reason }];
  }
  if (!overlay.on.some((base) => (real.get(base) ?? base) === path)) return [];
  return [{ path: overlay.path, reason: `it is the base of ${overlay.path}` }];
}

const deniedTo = ({ host }: Context) =>
  `the login user of hypervisor ${host} may not remove it (permission denied)`;

const STATE = `for path; do
  if [ ! -f "$path" ]; then echo other
  elif [ -w "\${path%/*}/" ]; then echo removable
  else echo denied; fi
done`;

async function stateOf(ctx: Context, paths: string[]): Promise<string[]> {
  return (await runProgram(ctx, ["sh", "-c", STATE, "sh", ...paths])).stdout.split("\n");
}

/** What stands on files of no pool and is no domain's own disk: images of pools, and read-only or shared disks. */
async function sharedOverlays(ctx: Context, { images, uses, real }: Storage): Promise<Overlay[]> {
  const realOf = (path: string) => real.get(path) ?? path;
  const inPools = new Set(images.map(({ path }) => realOf(path)));
  const read = new Map<string, Promise<string[] | undefined>>();
  const chain = (path: string, format: string | null) => {
    const below = read.get(path) ?? chainOf(ctx, path, format);
    read.set(path, below);
    return below;
  };
  const ofPools = images.map(async ({ path, backing }) => {
    if (!backing || inPools.has(realOf(backing.path))) return [];
    const below = await chain(backing.path, backing.format);
    return [{ path, on: below && [backing.path, ...below] }];
  });
  const ofDomains = uses.map(async ({ path, format, shared, below }) => {
    if (!shared || below || !path || inPools.has(realOf(path))) return [];
    return [{ path, on: await chain(path, format ?? "raw") }];
  });
  return (await Promise.all([...ofPools, ...ofDomains])).flat();
}

async function chainOf(ctx: Context, path: string, format: string | null) {
  if (format === "raw") return [];
  if (format === null) return undefined;
  return imagesBelow(ctx, path, format).catch(unknown);
}

function unknown(error: unknown): undefined {
  if (!(error instanceof HyperError)) throw error;
}

/** An `r` stands before the names of files that can be read. */
const BESIDE = `for folder; do find -H "$folder" -mindepth 1 -maxdepth 1 -type f -exec sh -c \
'for f; do if [ -r "$f" ]; then printf "r%s\\0" "$f"; else printf "u%s\\0" "$f"; fi; done' sh {} + || exit; done`;

/** Overlays in the folders of the files: one that is no domain's and in no pool lies beside its base, or nowhere known. */
async function overlaysBeside(ctx: Context, storage: Storage, paths: string[]): Promise<Overlay[]> {
  const folders = [...new Set(paths.map((path) => posix.dirname(path)))];
  const list = ["sh", "-c", BESIDE, "sh", ...folders];
  const { stdout } = await runProgram(ctx, list, {}, "find");
  const files = stdout.split("\0").filter(Boolean);
  const readable = files.filter((file) => file[0] === "r").map((file) => file.slice(1));
  const heads = await readQcow2Heads(ctx, readable);
  const realOf = (path: string) => storage.real.get(path) ?? path;
  const used = new Map(storage.uses.map(({ path, format }) => [realOf(path), format]));
  const overlays = heads.flatMap((head, i): Overlay[] => {
    const path = `${readable[i]}`;
    // a guest can write any header to a raw disk
    if (!head || head.backing === null || used.get(path) === "raw") return [];
    return [{ path, on: head.backing && [head.backing.path] }];
  });
  const unread = files.filter((file) => file[0] === "u").map((file) => file.slice(1));
  overlays.push(...unread.map((path) => ({ path, on: undefined })));
  // what is below a domain's disks is known from their definitions and chains
  return overlays.filter(({ path, on }) => on || !used.has(path));
}

/** Running domains' images of no pool whose headers cannot be read: libvirt does not tell their data files. */
async function runningOverlays(ctx: Context, { uses, images, real }: Storage): Promise<Overlay[]> {
  const inPools = new Set(images.map(({ path }) => path));
  const strays = uses.filter(
    ({ running, path, format }) => running && path && format === "qcow2" && !inPools.has(path),
  );
  const paths = strays.map(({ path }) => real.get(path) ?? path);
  const heads = await readQcow2Heads(ctx, paths);
  return paths.flatMap((path, i) => (heads[i] ? [] : [{ path, on: undefined }]));
}

/** Removes a file. One that cannot be removed is kept, with the reason. */
export async function removeLooseFile(
  ctx: Context,
  storage: Storage,
  { path }: LooseFile,
): Promise<{ removed: string[]; kept: Kept[] }> {
  const { exitCode, stderr } = await ctx.exec(["rm", "-f", "--", path]);
  if (exitCode !== 0)
    return { removed: [], kept: [{ path, reason: `it could not be removed: ${stderr.trim()}` }] };
  const isOwn = (image: string) => (storage.real.get(image) ?? image) === path;
  const data = [...storage.dataFiles].filter(([image]) => isOwn(image)).map(([, file]) => file);
  const kept = [...new Set(data)].map((file) => ({
    path: file,
    reason: `it held the data of ${path}`,
  }));
  return { removed: [path], kept };
}
