/** The seed of a new domain: what its cloud-init reads, in a drive of its own. */
import type { Context } from "../../hypervisor/context.ts";
import { attachSeed } from "../cloud-init/attach-seed.ts";
import { assertSeedPool, makeSeed, type Seed, seedVolume } from "../cloud-init/seed.ts";
import { readDisks } from "../disk.ts";
import type { Journal } from "../journal.ts";
import { parseXml } from "../xml.ts";
import type { XmlDocument } from "../xml-document.ts";
import { cdromDisk } from "./cdrom.ts";
import type { DefinedDisk } from "./definition.ts";
import { inField } from "./field.ts";
import type { PlannedDisk } from "./planned.ts";
import { assertNoVolume, readDiskPool } from "./pools.ts";
import type { DomainWish } from "./wish.ts";

/** The pool that it goes to. Throws where none can be made there. */
export async function planSeed(
  ctx: Context,
  { name, seed_pool }: DomainWish,
  disks: PlannedDisk[],
): Promise<string> {
  const beside = disks.find(({ pool }) => pool)?.pool ?? "default";
  const pool = await readDiskPool(ctx, "seed_pool", seed_pool ?? beside);
  await assertSeedPool(ctx, pool.name);
  await assertNoVolume(ctx, "cloud_init", pool.name, seedVolume(name));
  return pool.name;
}

/** Makes it and adds its drive to the definition; neither where there is no pool for it. */
export async function addSeed(
  ctx: Context,
  journal: Journal,
  definition: XmlDocument,
  { name: domain, cloud_init: cloudInit }: DomainWish,
  { uuid, pool }: { uuid: string; pool: string | undefined },
): Promise<{ seed: Seed | null; drives: DefinedDisk[] }> {
  if (pool === undefined || !cloudInit) return { seed: null, drives: [] };
  const options = { pool, domain, uuid, cloudInit };
  const seed = await inField("cloud_init", () => makeSeed(ctx, journal, options));
  attachSeed(definition, seed, uuid);
  const disks = readDisks(parseXml(`${definition}`, "domain"));
  const drives = disks.filter(({ path, device }) => device === "cdrom" && path === seed.path);
  return { seed, drives: drives.map(({ bus = "", target }) => cdromDisk(seed.path, bus, target)) };
}
