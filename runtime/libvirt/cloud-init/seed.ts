/** A seed: the volume with the files that a guest's cloud-init reads at its first boot. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { unwrap } from "../../hypervisor/outcomes.ts";
import type { Journal } from "../journal.ts";
import { parseVolume, volumeXml } from "../storage/volume.ts";
import { parseXml } from "../xml.ts";
import { seedFiles } from "./documents.ts";
import { isoImage } from "./iso9660.ts";
import type { CloudInit } from "./schema.ts";

export interface Seed {
  pool: string;
  volume: string;
  path: string;
}

/** By this label cloud-init finds it. */
const LABEL = "cidata";
/** Pools of files, and of volumes that are as good as files. */
const SEED_POOLS = ["dir", "fs", "netfs", "logical"];

const ENDING = "-seed.iso";
export const seedVolume = (domain: string) => `${domain}${ENDING}`;

/** The domain that a seed was made for, by the name or path of its volume; undefined for another name. */
export const domainOfSeed = (volume: string): string | undefined =>
  volume.endsWith(ENDING) ? volume.slice(volume.lastIndexOf("/") + 1, -ENDING.length) : undefined;

/** Makes the seed of a domain that is to be defined. It has the owner and the mode that libvirt gives volumes, 0600. */
export async function makeSeed(
  ctx: Context,
  journal: Journal,
  options: { pool: string; domain: string; uuid: string; cloudInit: CloudInit },
): Promise<Seed> {
  const { pool, domain, uuid, cloudInit } = options;
  await assertSeedPool(ctx, pool);
  const image = isoImage(LABEL, seedFiles(cloudInit, domain, uuid));
  const volume = seedVolume(domain);
  const named = ["--pool", pool, "--vol", volume];
  const definition = volumeXml({ name: volume, capacity: image.length, format: "raw" });
  const commands = [
    ["vol-create", "--pool", pool, "--file", definition],
    ["vol-dumpxml", ...named],
  ];
  ctx.log.info(`The seed for cloud-init is volume ${volume} of pool ${pool}.`);
  const read = await journal.track({ kind: "volume", pool, name: volume }, async () => {
    const [made, text] = await ctx.virsh.settled(commands);
    unwrap(made);
    return text;
  });
  const { path, type } = parseVolume(pool, unwrap(read));
  // libvirtd reads its whole pool again after an upload
  const isWritten = type === "file" && (await ctx.overwrite(path, image));
  if (!isWritten) await ctx.virsh(["vol-upload", ...named, "--file", { bytes: image }]);
  return { pool, volume, path };
}

const poolTypes = new WeakMap<Context, Map<string, Promise<string>>>();

/** Throws `unsupported` for a pool that no seed can be made in; asked once in a call. */
export async function assertSeedPool(ctx: Context, pool: string) {
  const known = poolTypes.get(ctx) ?? new Map<string, Promise<string>>();
  poolTypes.set(ctx, known);
  const read = known.get(pool) ?? readPoolType(ctx, pool);
  known.set(pool, read);
  const type = await read;
  if (SEED_POOLS.includes(type)) return;
  const text = `cloud_init: pool ${pool} is of type ${type}, and a seed can be made in a pool of type ${SEED_POOLS.join(", ")}`;
  throw new HyperError("unsupported", text);
}

async function readPoolType({ virsh }: Context, pool: string): Promise<string> {
  const text = await virsh(["pool-dumpxml", "--pool", pool]);
  return `${parseXml(text, "pool")["@type"]}`;
}
