/** Which disk of a domain a request means. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { readAnswering } from "../definitions.ts";
import { type Disk, readDisks } from "../disk.ts";
import type { DomainState } from "../domain/domain.ts";
import { realPaths } from "../storage/real-paths.ts";
import { readVolume } from "../storage/volume.ts";
import { parseXml } from "../xml.ts";

/** The disks of the running domain, and those of its stored definition; undefined for one that it does not have. */
export interface Disks {
  live: Disk[] | undefined;
  stored: Disk[] | undefined;
}

export async function readBoth(ctx: Context, uuid: string, state: DomainState): Promise<Disks> {
  const read = async (option?: "--inactive") =>
    readDisks(parseXml(await readAnswering(ctx, uuid, option), "domain"));
  return {
    live: state.live ? await read() : undefined,
    stored: state.persistent ? await read("--inactive") : undefined,
  };
}

export interface Wanted {
  target?: string | undefined;
  volume?: string | undefined;
  pool: string;
  path?: string | undefined;
}

/** The target of the disk; throws `not_found`, with the disks that there are. */
export async function findTarget(ctx: Context, domain: string, disks: Disks, wanted: Wanted) {
  const all = [...(disks.live ?? []), ...(disks.stored ?? [])];
  const found = await findDisk(ctx, all, wanted);
  if (found) return found.target;
  const [field, value] = wanted.target
    ? ["target", wanted.target]
    : wanted.volume
      ? ["volume", `${wanted.volume} of pool ${wanted.pool}`]
      : ["path", wanted.path];
  const known = [...new Set(all.map(({ target }) => target))].join(", ") || "none";
  const text = `${field}: domain ${domain} has no disk ${value}; its disks are ${known}`;
  throw new HyperError("not_found", text);
}

async function findDisk(ctx: Context, disks: Disk[], { target, volume, pool, path }: Wanted) {
  if (target !== undefined) return disks.find((disk) => disk.target === target);
  const file = path ?? (await readVolume(ctx, pool, `${volume}`)).path;
  const real = await realPaths(ctx, [file, ...disks.flatMap((disk) => disk.path ?? [])]);
  const realOf = (one: string) => real.get(one) ?? one;
  return disks.find((disk) =>
    disk.path
      ? realOf(disk.path) === realOf(file)
      : disk.volume !== undefined && disk.volume === volume && disk.pool === pool,
  );
}
