/** Storage in use: which domains use a volume, and which images have it as their backing file. */
import type * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { readDataFiles } from "./data-file.ts";
import { readImages } from "./images.ts";
import { imagesBelow, mayBeInUse, type UnknownImage } from "./look.ts";
import { realPaths } from "./real-paths.ts";
import { readUses, type Use } from "./uses.ts";
import type { Volume } from "./volume.ts";

type Image = z.output<typeof Volume>;
/** `pool` is undefined for a file that no pool has. */
interface Place {
  pool: string | undefined;
  name: string;
  path: string;
}

export interface Storage {
  uses: Use[];
  images: Image[];
  /** Images of domains whose backing files cannot be read: each may stand on any volume. */
  unknown: UnknownImage[];
  /** The files that hold the data of qcow2 images, by the path of the image. */
  dataFiles: Map<string, string>;
  /** The resolved path of every path that a disk or an image has. */
  real: Map<string, string>;
  /** The disks that use a volume, by any name of it. */
  disksUsing(volume: Place): Use[];
  /** The paths of the images that have a volume as their backing file. */
  overlaysOf(volume: Place): string[];
  /** The paths of the images whose data a volume holds. */
  dataUsersOf(volume: Place): string[];
  /** The paths of the images below a volume, from the top down. */
  backingChainOf(volume: Place): string[];
  /** The volume that a disk uses, if a pool has it. */
  volumeOf(use: Pick<Use, "path" | "pool" | "volume">): Image | undefined;
}

/** Reads all disks of all domains and all volumes of all active pools: a few round trips and one process. */
export async function readStorage(ctx: Context): Promise<Storage> {
  const [disks, { images, real: known }] = await Promise.all([
    readUses(ctx),
    readImages(ctx, true),
  ]);
  const [{ below, unknown }, dataFiles] = await Promise.all([
    readChains(ctx, disks, images),
    readDataFiles(ctx, [...images, ...strayImages(disks, images)]),
  ]);
  const uses = [...disks, ...below];
  const paths = images.flatMap(({ path, backing }) => [path, backing?.path ?? ""]);
  paths.push(...dataFiles.values());
  const real = await realPaths(ctx, [...uses.map(({ path }) => path), ...paths], {}, known);
  const same = (a: string, b: string) => (real.get(a) ?? a) === (real.get(b) ?? b);
  const standsOn = (use: Pick<Use, "path" | "pool" | "volume">, { pool, name, path }: Place) =>
    use.path ? same(use.path, path) : use.pool === pool && use.volume === name;
  return {
    uses,
    images,
    unknown,
    dataFiles,
    real,
    disksUsing: (volume) => uses.filter((use) => standsOn(use, volume)),
    overlaysOf: ({ path }) =>
      images
        .filter(({ backing }) => backing && same(backing.path, path))
        .map((image) => image.path)
        .sort(),
    dataUsersOf: ({ path }) =>
      [...dataFiles].filter(([, file]) => same(file, path)).map(([image]) => image),
    backingChainOf: (volume) => {
      const chain: string[] = [];
      let image = images.find(({ path }) => same(path, volume.path));
      while (image?.backing && !chain.includes(image.backing.path)) {
        const { path } = image.backing;
        chain.push(path);
        image = images.find((other) => same(other.path, path));
      }
      return chain;
    },
    volumeOf: (use) => images.find((image) => standsOn(use, image)),
  };
}

/**
 * Throws `in_use`, naming the users of a volume. `force` ignores domains that are off, and images that cannot be
 * read, and nothing else.
 */
export async function assertUnused(ctx: Context, volume: Place, force: boolean): Promise<Storage> {
  const storage = await readStorage(ctx);
  const overlays = storage.overlaysOf(volume);
  const name = `volume ${volume.name} of pool ${volume.pool}`;
  if (overlays.length > 0) {
    const details = { children: overlays };
    throw new HyperError("in_use", `${name} is the base of ${overlays.join(", ")}`, { details });
  }
  const dataUsers = storage.dataUsersOf(volume);
  if (dataUsers.length > 0) {
    const details = { children: dataUsers };
    throw new HyperError("in_use", `${name} holds the data of ${dataUsers.join(", ")}`, {
      details,
    });
  }
  const uses = storage.disksUsing(volume);
  const running = uses.find((use) => use.running);
  if (force && !running) return storage;
  const remedy = "; force: true does it all the same";
  if (uses.length === 0 && storage.unknown.length > 0)
    throw mayBeInUse(ctx, name, storage.unknown, remedy);
  if (uses.length === 0) return storage;
  const domains = [...new Set(uses.map(({ domain }) => domain))];
  const text = running
    ? `${name} is used by the running domain ${running.domain}`
    : `${name} is used by ${domains.join(", ")}${remedy}`;
  throw new HyperError("in_use", text, { details: { domains } });
}

/** The qcow2 images of domains that no pool has: their data may be in other files too. */
function strayImages(uses: Use[], images: Image[]) {
  const inPools = new Set(images.map(({ path }) => path));
  const isStray = ({ path, format }: Use) => path && format === "qcow2" && !inPools.has(path);
  const paths = new Set(uses.filter(isStray).map(({ path }) => path));
  return [...paths].map((path) => ({ path, type: "file", format: "qcow2" }));
}

/** Reads the backing files of overlays that no pool has and whose domain is off: only their headers name them. */
async function readChains(ctx: Context, uses: Use[], images: Image[]) {
  const inPools = new Set(images.map(({ path }) => path));
  const strays = uses.filter(
    ({ running, below, shared, path, format }) =>
      !running && !below && !shared && path && !inPools.has(path) && format && format !== "raw",
  );
  const unknown: UnknownImage[] = [];
  const chains = await Promise.all(
    strays.map(async (use) => {
      const { domain, path, format = "" } = use;
      const paths = await imagesBelow(ctx, path, format).catch((error: unknown) => {
        if (!(error instanceof HyperError)) throw error;
        unknown.push({ domain, path, reason: error.message });
        return [];
      });
      return paths.map((path) => ({ ...use, below: true, path }));
    }),
  );
  return { below: chains.flat(), unknown };
}
