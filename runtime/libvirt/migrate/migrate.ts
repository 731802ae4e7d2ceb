/** A migration from its checks to its answer. */
import * as z from "zod";
import type { Context } from "../../hypervisor/context.ts";
import { assertPossible, Check } from "./check.ts";
import { readFindings } from "./compatibility.ts";
import type { DiskPlan } from "./disks.ts";
import { Flow, throughServer } from "./flow.ts";
import { migrateOffline } from "./offline.ts";
import { releaseSource } from "./release.ts";
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
  flow: Flow,
  checks: z.array(Check),
  warnings: z.array(z.string()),
});
export type Migration = z.output<typeof Migration>;

export async function migrate(ctx: Context, wish: MigrateWish): Promise<Migration> {
  const { name, to, live, copy_storage, target_pool, migrate_host } = wish;
  const sides = await readSides(ctx, { name, to, live, copy_storage, target_pool, migrate_host });
  const { checks, plan, doc } = await readFindings(sides);
  const told = { ...describe(sides, plan, wish), checks };
  if (wish.dry_run) return { ...told, snapshots: null };
  assertPossible(checks);
  if (!plan) throw new Error("a plan that failed without a check");
  const { paths, snapshots } = await migrateOffline(sides, plan, doc);
  const disks = told.disks.map((disk) => ({ ...disk, to: paths.get(disk.target) ?? disk.to }));
  const warnings = await releaseSource(sides, wish.undefine_source);
  const isGone = wish.undefine_source && !warnings.some((text) => text.includes("still has"));
  return {
    ...{ ...told, disks, snapshots, source: isGone ? "undefined" : "defined" },
    warnings: [...told.warnings, ...warnings],
  };
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
    flow: {
      disks: isCopied ? throughServer(source, target) : null,
      memory: null,
      encrypted: true,
    },
    warnings:
      isCopied && wish.undefine_source
        ? [
            `the files of its disks stay on ${source.host}: ${copies.map(({ image }) => image.path).join(", ")}`,
          ]
        : [],
  };
}
