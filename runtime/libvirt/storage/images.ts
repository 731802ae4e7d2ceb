/**
 * The volumes of pools. What a file's own header or libvirt has told of it is remembered while the file's identity is
 * the same, so that a guard on a host with many images reads only those that have changed.
 */
import type { Context } from "../../hypervisor/context.ts";
import { unlessGone } from "../../hypervisor/outcomes.ts";
import { type Folder, listFolders } from "../folder.ts";
import { rememberNoDataFile } from "./data-file.ts";
import { type ActivePool, readActivePool, readActivePools } from "./pools.ts";
import { readQcow2Heads } from "./qcow2-header.ts";
import { parseVolume, readVolumes } from "./volume.ts";

type Image = ReturnType<typeof parseVolume>;

interface Known {
  /** Undefined for a file that has changed too lately to be remembered. */
  identity: string | undefined;
  /** Undefined for a file that libvirt does not take for a volume. */
  image: Image | undefined;
}

/** By hypervisor, then by pool and folder, then by the file's name. */
const remembered = new Map<string, Map<string, Map<string, Known>>>();
const MAX_PER_POOL = 5000;
const MAX_POOLS = 200;

/** So many are read without asking libvirt to look at the whole folder. */
const FEW = 32;

/**
 * Reads all volumes of all active pools. `refresh` has each pool whose files have changed look at its folder again:
 * that shows overlays that QEMU has made. A pool at work refuses it, and is current anyway.
 */
export async function readImages(ctx: Context, refresh: boolean): Promise<Images> {
  const pools = await readActivePools(ctx);
  const names = [...new Set(pools.flatMap(({ folder }) => folder ?? []))];
  const folders = await listFolders(ctx, names);
  const lists = await Promise.all(
    pools.map(async (pool) => {
      const folder = pool.folder === undefined ? -1 : names.indexOf(pool.folder);
      const list = folders[folder];
      if (list) return readFolder(ctx, pool, list, refresh);
      if (refresh) await ctx.virsh.settled([["pool-refresh", "--pool", pool.name]]);
      return (await readVolumes(ctx, pool.name)).volumes;
    }),
  );
  forgetOthers(ctx, pools);
  return { images: lists.flat(), real: realPathsIn(names, folders) };
}

export interface Images {
  images: Image[];
  /** The resolved paths of the files that are in the folders of pools, as far as these tell them. */
  real: Map<string, string>;
}

function realPathsIn(names: string[], folders: (Folder | undefined)[]): Map<string, string> {
  const real = new Map<string, string>();
  folders.forEach((folder, i) => {
    for (const [name, { isLink }] of folder?.files ?? []) {
      if (!isLink) real.set(`${names[i]}/${name}`, `${folder?.realPath}/${name}`);
    }
  });
  return real;
}

/** Reads the volumes of one pool; `unreadable` are the names of those that cannot be asked for. */
export async function readPoolVolumes(
  ctx: Context,
  name: string,
): Promise<{ volumes: Image[]; unreadable: string[] }> {
  const pool = await readActivePool(ctx, name);
  const [list] = pool?.folder ? await listFolders(ctx, [pool.folder]) : [];
  if (!pool || !list) return readVolumes(ctx, name);
  const volumes = await readFolder(ctx, pool, list, false);
  const key = ({ name }: Image) => name.toLowerCase();
  return { volumes: volumes.sort((a, b) => (key(a) < key(b) ? -1 : 1)), unreadable: [] };
}

async function readFolder(
  ctx: Context,
  pool: ActivePool,
  { files }: Folder,
  refresh: boolean,
): Promise<Image[]> {
  const known = memoryOf(ctx, pool);
  for (const name of known.keys()) if (!files.has(name)) known.delete(name);
  const isChanged = (name: string) => known.get(name)?.identity !== files.get(name)?.identity;
  const changed = [...files.keys()].filter(isChanged);
  const isNew = changed.some((name) => !known.has(name));
  const refreshPool = async () =>
    (await ctx.virsh.settled([["pool-refresh", "--pool", pool.name]]))[0];
  const [images, first] = await Promise.all([
    imagesFromHeads(ctx, pool, files, changed),
    isNew ? refreshPool() : undefined,
  ]);
  const others = changed.filter((name) => !images.has(name));
  const mustRefresh = others.length > 0 && (refresh || others.length > FEW);
  const refreshed = !isNew && mustRefresh ? await refreshPool() : first;
  const commands = others.map((name) => ["vol-dumpxml", "--pool", pool.name, "--vol", name]);
  const texts = (await ctx.virsh.settled(commands)).map(unlessGone);
  const told = others.map((name, i) => {
    const text = texts[i];
    return [name, text === undefined ? undefined : parseVolume(pool.name, text)] as const;
  });
  for (const [name, image] of [...images, ...told]) {
    const { identity = "", settled = false } = files.get(name) ?? {};
    // without a refresh libvirt may still tell what it saw before the change
    const isCurrent = images.has(name) || typeof refreshed === "string";
    known.set(name, { identity: settled && isCurrent ? identity : undefined, image });
  }
  const list = [...files.keys()].flatMap((name) => known.get(name)?.image ?? []);
  for (const name of [...known.keys()].slice(MAX_PER_POOL)) known.delete(name);
  return list;
}

/** The images whose own headers tell all that libvirt would. */
async function imagesFromHeads(
  ctx: Context,
  { name: pool, folder }: ActivePool,
  files: Folder["files"],
  names: string[],
): Promise<Map<string, Image>> {
  const pathOf = (name: string) => `${folder}/${name}`;
  // libvirt takes no file with a control character in its name for a volume
  const candidates = names.filter(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what it looks for
    (name) => files.get(name)?.isRegular && !/[\x00-\x1f\x7f]/.test(name),
  );
  const heads = await readQcow2Heads(ctx, candidates.map(pathOf));
  return new Map(
    candidates.flatMap((name, i): [string, Image][] => {
      const head = heads[i];
      if (!head || head.encrypted || head.backing === undefined) return [];
      const { capacity, backing } = head;
      const image: Image = {
        ...{ pool, name, path: pathOf(name), type: "file", format: "qcow2", encrypted: false },
        ...{ capacity_bytes: capacity, allocation_bytes: files.get(name)?.bytes ?? 0, backing },
      };
      if (!head.hasDataFile) rememberNoDataFile(image);
      return [[name, image]];
    }),
  );
}

function memoryOf({ host, uri }: Context, { uuid, folder }: ActivePool): Map<string, Known> {
  const hypervisor = `${host} ${uri}`;
  const pools = remembered.get(hypervisor) ?? new Map<string, Map<string, Known>>();
  remembered.set(hypervisor, pools);
  const key = `${uuid} ${folder}`;
  const known = pools.get(key) ?? new Map<string, Known>();
  if (pools.size < MAX_POOLS) pools.set(key, known);
  return known;
}

/** A pool that is gone, or has another folder, is forgotten. */
function forgetOthers({ host, uri }: Context, pools: ActivePool[]) {
  const keys = new Set(pools.map(({ uuid, folder }) => `${uuid} ${folder}`));
  const memory = remembered.get(`${host} ${uri}`);
  for (const key of memory?.keys() ?? []) if (!keys.has(key)) memory?.delete(key);
}
