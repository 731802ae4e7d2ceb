/** Who stands on what: which domains use a volume, and which images have it as their base. */
import type * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { unlessGone } from "../../hypervisor/outcomes.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import { lines } from "../virsh-output.ts";
import { attribute, children, type Element, parseXml, textOf } from "../xml.ts";
import { readVolumes, type Volume } from "./volume.ts";

/** A disk of a domain, or an image below one. */
export interface Use {
  domain: string;
  /** In the running domain; false also for what a running one will have at its next start. */
  running: boolean;
  /** The disk's target, such as `vda`. */
  target: string;
  /** The domain uses the image below another, not as a disk of its own. */
  below: boolean;
  /** Only read, or meant for several domains, or a CD-ROM. */
  shared: boolean;
  /** As the definition has it: a path, or a volume of a pool. */
  path: string;
  format: string | undefined;
  pool: string | undefined;
  volume: string | undefined;
}

type Image = z.output<typeof Volume>;
type Place = Pick<Image, "pool" | "name" | "path">;

export interface Storage {
  uses: Use[];
  images: Image[];
  /** The path without links, of each path that a disk or an image has. */
  real: Map<string, string>;
  /** The disks that stand on a volume, by any name of it. */
  disksUsing(volume: Place): Use[];
  /** The paths of the images that have a volume as their base. */
  overlaysOf(volume: Place): string[];
  /** The paths of the images below a volume, from the top down. */
  backingChainOf(volume: Place): string[];
  /** The volume that a disk stands on, where a pool has it. */
  volumeOf(use: Pick<Use, "path" | "pool" | "volume">): Image | undefined;
}

/** All disks of all domains and all volumes of all active pools: a few round trips and one process. */
export async function readStorage(ctx: Context): Promise<Storage> {
  const [disks, images] = await Promise.all([readDisks(ctx), readImages(ctx, true)]);
  const uses = [...disks, ...(await readChains(ctx, disks, images))];
  const paths = images.flatMap(({ path, backing }) => [path, backing?.path ?? ""]);
  const real = await realPaths(ctx, [...uses.map(({ path }) => path), ...paths]);
  const same = (a: string, b: string) => (real.get(a) ?? a) === (real.get(b) ?? b);
  const standsOn = (use: Pick<Use, "path" | "pool" | "volume">, { pool, name, path }: Place) =>
    use.path ? same(use.path, path) : use.pool === pool && use.volume === name;
  return {
    uses,
    images,
    real,
    disksUsing: (volume) => uses.filter((use) => standsOn(use, volume)),
    overlaysOf: ({ path }) =>
      images
        .filter(({ backing }) => backing && same(backing.path, path))
        .map((image) => image.path),
    backingChainOf: (volume) => {
      const found: string[] = [];
      let at = images.find(({ path }) => same(path, volume.path));
      while (at?.backing && !found.includes(at.backing.path)) {
        const { path } = at.backing;
        found.push(path);
        at = images.find((image) => same(image.path, path));
      }
      return found;
    },
    volumeOf: (use) => images.find((image) => standsOn(use, image)),
  };
}

/** Throws `in_use`, naming who stands on a volume. `force` gives up the domains that are off, nothing else. */
export async function refuseInUse(ctx: Context, volume: Place, force: boolean) {
  const storage = await readStorage(ctx);
  const images = storage.overlaysOf(volume);
  const name = `volume ${volume.name} of pool ${volume.pool}`;
  if (images.length > 0) {
    const details = { children: images };
    throw new HyperError("in_use", `${name} is the base of ${images.join(", ")}`, { details });
  }
  const uses = storage.disksUsing(volume);
  const running = uses.find((use) => use.running);
  if (uses.length === 0 || (force && !running)) return;
  const domains = [...new Set(uses.map(({ domain }) => domain))];
  const text = running
    ? `${name} is used by the running domain ${running.domain}`
    : `${name} is used by ${domains.join(", ")}; force: true does it all the same`;
  throw new HyperError("in_use", text, { details: { domains } });
}

/** Of what runs, since it tells the images below, and of what is stored: that is used from the next start on. */
async function readDisks({ virsh }: Context): Promise<Use[]> {
  const [all = "", active = ""] = await virsh.all([
    ["list", "--all", "--uuid"],
    ["list", "--uuid"],
  ]);
  const [ids, running] = [lines(all), lines(active)];
  const dumps = [
    ...ids.map((id) => ["dumpxml", "--domain", id]),
    ...running.map((id) => ["dumpxml", "--domain", id, "--inactive"]),
  ];
  const texts = await virsh.settled(dumps);
  const found = new Map<string, Use>();
  texts.map(unlessGone).forEach((text, i) => {
    if (text === undefined) return;
    for (const use of disksOf(parseXml(text, "domain"), running.includes(ids[i] ?? ""))) {
      const key = JSON.stringify([use.domain, use.target, use.path, use.pool, use.volume]);
      if (!found.has(key)) found.set(key, use);
    }
  });
  return [...found.values()];
}

/** Below an overlay that no pool has, and whose domain is off, only qemu-img can tell what there is. */
async function readChains({ exec }: Context, uses: Use[], images: Image[]): Promise<Use[]> {
  const known = new Set(images.map(({ path }) => path));
  const strays = uses.filter(
    ({ running, below, shared, path, format }) =>
      !running && !below && !shared && path && !known.has(path) && format && format !== "raw",
  );
  const chains = await Promise.all(
    strays.map(async (use) => {
      const info = [
        "qemu-img",
        "info",
        "-U",
        "--backing-chain",
        "--output=json",
        "-f",
        `${use.format}`,
      ];
      const { stdout, exitCode } = await exec([...info, use.path]);
      const chain: { filename: string }[] = exitCode === 0 ? JSON.parse(stdout) : []; // a disk may be missing
      return chain.slice(1).map(({ filename }) => ({ ...use, below: true, path: filename }));
    }),
  );
  return chains.flat();
}

/** The disks of a definition, and the images below each as far as it tells. */
export function disksOf(domain: Element, running: boolean): Use[] {
  return children(domain, "devices", "disk").flatMap((disk) =>
    [disk, ...backingStores(disk)].map((layer, depth) => ({
      domain: textOf(domain, "name") ?? "",
      running,
      target: attribute(disk, "dev", "target") ?? "",
      below: depth > 0,
      shared:
        Boolean(disk.readonly || disk.shareable) ||
        !/^(disk|lun|floppy)$/.test(`${disk["@device"] ?? "disk"}`),
      path: attribute(layer, "file", "source") ?? attribute(layer, "dev", "source") ?? "",
      format: attribute(layer, "type", depth > 0 ? "format" : "driver"),
      pool: attribute(layer, "pool", "source"),
      volume: attribute(layer, "volume", "source"),
    })),
  );
}

function backingStores(disk: Element): Element[] {
  return children(disk, "backingStore").flatMap((store) => [store, ...backingStores(store)]);
}

/** All volumes of all active pools, which look at their folders again for `refresh`. */
export async function readImages(ctx: Context, refresh: boolean): Promise<Image[]> {
  // by UUID, since the list of names pads them with spaces that a name may end with itself
  const ids = lines(await ctx.virsh(["pool-list", "--uuid"])).map((uuid) => uuid.trim());
  const named = await ctx.virsh.settled(ids.map((uuid) => ["pool-name", "--pool", uuid]));
  const pools = named.flatMap((name) => unlessGone(name)?.replace(/\n$/, "") ?? []);
  // overlays that QEMU made are unknown to their pool until then; a pool at work refuses, and is current
  if (refresh) await ctx.virsh.settled(pools.map((pool) => ["pool-refresh", "--pool", pool]));
  const found = await Promise.all(pools.map((pool) => readVolumes(ctx, pool)));
  return found.flatMap(({ volumes }) => volumes);
}

/** Two names of one file are one file: the paths without links, from the hypervisor itself. */
export async function realPaths({ exec }: Context, paths: string[]): Promise<Map<string, string>> {
  const unique = [...new Set(paths)].filter((path) => path.startsWith("/"));
  if (unique.length === 0) return new Map();
  const done = await exec(["xargs", "-0", "realpath", "-mz", "--"], { input: unique.join("\0") });
  if (done.exitCode !== 0) throw programError("realpath", done);
  const real = done.stdout.split("\0");
  return new Map(unique.map((path, i) => [path, real[i] ?? path]));
}
