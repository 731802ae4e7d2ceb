/** A migration from its checks to its answer. */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { assertPossible, Check } from "./check.ts";
import { readFindings } from "./compatibility.ts";
import type { DiskPlan } from "./disks.ts";
import { Flow, throughServer } from "./flow.ts";
import { Stats } from "./job-info.ts";
import { migrateLive } from "./live.ts";
import { migrateOffline } from "./offline.ts";
import { releaseSource } from "./release.ts";
import { addressOf } from "./route.ts";
import { readSides, type Sides } from "./sides.ts";
import type { MigrateWish } from "./wish.ts";

const MovedDisk = z.object({
  target: z.string(),
  action: z.enum(["copy", "keep"]).describe("keep: the other hypervisor has it already"),
  from: z.string().nullable(),
  to: z.string().nullable().describe("null where the other pool gives it a path"),
  bytes: z.number().nullable(),
});

export const Migration = z.object({
  name: z.string(),
  uuid: z.string(),
  from: z.string(),
  to: z.string(),
  live: z.boolean(),
  dry_run: z.boolean(),
  disks: z.array(MovedDisk),
  snapshots: z.int().nullable().describe("how many have moved; null with dry_run"),
  source: z.enum(["defined", "undefined"]).describe("what the source has of it afterwards"),
  stats: Stats.nullable().describe("of a live migration, once it is done"),
  flow: Flow,
  kept_files: z.array(z.string()).describe("files of it that stay on the source"),
  checks: z.array(Check),
  warnings: z.array(z.string()),
});
export type Migration = z.output<typeof Migration>;

export async function migrate(ctx: Context, wish: MigrateWish): Promise<Migration> {
  assertPlausible(wish);
  const sides = await readSides(ctx, wish);
  const { checks, plan } = await readFindings(sides);
  const told = { ...describe(sides, plan, wish), ...(await flowOf(sides, plan, wish)), checks };
  if (wish.dry_run) return { ...told, snapshots: null, stats: null };
  assertPossible(checks);
  if (!plan) throw new Error("a plan that failed without a check");
  const { paths, ...moved } = wish.live
    ? { ...(await migrateLive(sides, plan, wish)), snapshots: 0 }
    : { ...(await migrateOffline(sides, plan)), stats: null };
  const disks = told.disks.map((disk) => ({ ...disk, to: paths.get(disk.target) ?? disk.to }));
  const { warnings, files, isGone } = await releaseSource(sides, wish);
  return {
    ...{ ...told, ...moved, disks, source: isGone ? "undefined" : "defined" },
    kept_files: [...told.kept_files, ...files],
    warnings: [...told.warnings, ...warnings],
  };
}

/** Throws for wishes that exclude each other. */
export function assertPlausible({
  live,
  copy_storage,
  postcopy_after,
  tls,
}: Pick<MigrateWish, "live" | "copy_storage" | "postcopy_after" | "tls">) {
  const wrong = (text: string) => new HyperError("invalid_input", text);
  if (postcopy_after !== undefined && copy_storage !== "none")
    throw wrong("postcopy_after: libvirt does it on shared storage alone (copy_storage: none)");
  if (live) return;
  if (tls) throw wrong("tls: is for live; what moves while it is off flows over our connections");
  if (postcopy_after !== undefined) throw wrong("postcopy_after: is for live");
}

/** Our own connections are SSH; between the two QEMU there is no encryption but TLS. */
async function flowOf(sides: Sides, plan: DiskPlan | undefined, wish: MigrateWish) {
  const { source, target } = sides;
  const isCopied = plan !== undefined && plan.copies.length > 0;
  if (!wish.live) {
    const disks = isCopied ? throughServer(source, target) : null;
    return { flow: { disks, memory: null, encrypted: true }, warnings: [] };
  }
  const address = await addressOf(sides).catch(() => "an address that is not known");
  const how = wish.tls ? "with TLS" : "not encrypted";
  const memory = `from ${source.host} to ${target.host} at ${address}, ports from 49152 on, ${how}`;
  const warnings = wish.tls ? [] : [`the guest's memory flows ${memory}; tls encrypts it`];
  return { flow: { disks: isCopied ? memory : null, memory, encrypted: wish.tls }, warnings };
}

function describe(sides: Sides, plan: DiskPlan | undefined, wish: MigrateWish) {
  const { source, target, name, uuid } = sides;
  const { copies = [], kept = [] } = plan ?? {};
  const disks: Migration["disks"] = [
    ...copies.map(({ target, image, path }) => ({
      ...{ target, action: "copy" as const, from: image.path, to: path ?? null },
      bytes: image.size,
    })),
    ...kept.map(({ target, disk: { path = null } }) => ({
      ...{ target, action: "keep" as const, from: path, to: path, bytes: null },
    })),
  ];
  const isCopied = copies.length > 0;
  return {
    ...{ name, uuid, from: source.host, to: target.host, live: wish.live, dry_run: wish.dry_run },
    disks,
    source: wish.undefine_source ? ("undefined" as const) : ("defined" as const),
    kept_files: isCopied && wish.undefine_source ? copies.map(({ image }) => image.path) : [],
  };
}
