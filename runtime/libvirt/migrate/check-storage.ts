/** Checks of the disks: what is copied has a place and space there, and what is not is there already. */
import type { Context } from "../../hypervisor/context.ts";
import type { Disk } from "../disk.ts";
import { pathExists } from "../program.ts";
import { mayWrite, needsRoot } from "../storage/image-access.ts";
import { keyValues } from "../virsh-output.ts";
import { type Check, fail, pass, warning } from "./check.ts";
import type { DiskCopy, DiskPlan } from "./disks.ts";
import { isSameFile } from "./same-file.ts";
import type { Sides } from "./sides.ts";

export async function checkStorage(sides: Sides, plan: DiskPlan): Promise<Check[]> {
  const { target } = sides;
  const kept = await Promise.all(
    plan.kept.map(({ target: dev, disk }) => checkKept(sides, dev, disk)),
  );
  const copies = await Promise.all(plan.copies.map((copy) => checkCopy(sides, copy)));
  const checks = [...kept, ...copies.flat(), ...(await checkSpace(target, plan.copies))];
  return checks.length > 0 ? checks : [pass("storage", "it has no disks")];
}

/** A path or a volume of one name may be two files: what can be seen is that there is one. */
async function checkKept(sides: Sides, target: string, disk: Disk): Promise<Check> {
  const { source, target: ctx } = sides;
  const { host } = ctx;
  const { pool, volume, path, protocol, name } = disk;
  if (protocol)
    return warning("storage", `${target}: ${host} must reach ${protocol} ${name ?? ""} as well`);
  const [what, here, there] =
    pool && volume
      ? [
          `volume ${volume} of pool ${pool}`,
          ...(await Promise.all([source, ctx].map((side) => volumePath(side, pool, volume)))),
        ]
      : [`${path}`, path, path && (await seesPath(ctx, path)) ? path : undefined];
  if (there === undefined) {
    const remedy = disk.device === "cdrom" ? "eject it first" : "copy_storage copies it";
    return fail("storage", `${target}: ${host} has no ${what}; ${remedy}`);
  }
  if (disk.readonly || disk.device === "cdrom")
    return pass("storage", `${target}: ${host} has ${what}`);
  const isSame = here === undefined ? undefined : await isSameFile(sides, here, there);
  const text = `${target}: ${what} of ${host}`;
  if (isSame) return pass("storage", `${text} is that of ${source.host}`);
  if (isSame === undefined)
    return warning("storage", `${text} cannot be compared with the source's; it must be the same`);
  return fail("storage", `${text} is another than that of ${source.host}; copy_storage copies it`);
}

async function volumePath({ virsh }: Context, pool: string, volume: string) {
  const [found] = await virsh.settled([["vol-path", "--pool", pool, "--vol", volume]]);
  if (typeof found === "string") return found.replace(/\n+$/, "");
  if (found?.code === "not_found" || found?.code === "invalid_input") return undefined;
  throw found;
}

const seesPath = async (ctx: Context, path: string) =>
  (await hasVolume(ctx, ["--vol", path])) || pathExists(ctx, path);

async function hasVolume({ virsh }: Context, words: string[]): Promise<boolean> {
  const [found] = await virsh.settled([["vol-key", ...words]]);
  if (typeof found === "string") return true;
  if (found?.code === "not_found" || found?.code === "invalid_input") return false;
  throw found;
}

async function checkCopy(sides: Sides, copy: DiskCopy): Promise<Check[]> {
  const { target: ctx, route } = sides;
  const { target, pool, name, path } = copy;
  const backing = copy.backing?.path;
  const place = pool ? `volume ${name} of pool ${pool}` : `${path}`;
  const isTaken =
    (pool !== undefined && (await hasVolume(ctx, ["--pool", pool, "--vol", name]))) ||
    (path !== undefined && (await pathExists(ctx, path)));
  if (isTaken) return [fail("storage", `${target}: ${ctx.host} has ${place} already`)];
  if (!pool) {
    const folder = `${path}`.slice(0, `${path}`.lastIndexOf("/")) || "/";
    if (!(await pathExists(ctx, folder)))
      return [fail("storage", `${target}: ${ctx.host} has no folder ${folder}`)];
    if (!(await mayWrite(ctx, folder))) throw needsRoot(ctx, `disk ${target}: ${path} is made`);
  }
  return [checkBacking(sides, target, backing), pass("storage", `${target}: becomes ${place}`)]
    .flatMap((check) => check ?? [])
    .concat(
      route.copy_storage === "incremental" && backing ? await checkBase(ctx, target, backing) : [],
    );
}

function checkBacking({ route }: Sides, target: string, backing: string | undefined) {
  if (route.copy_storage === "incremental") {
    if (backing) return undefined;
    return warning(
      "storage",
      `${target}: stands on no other image, so that it is copied as a whole`,
    );
  }
  if (!backing || route.live) return undefined;
  const text = `${target}: stands on ${backing}, which is not copied; merge them, put that image there and use "incremental", or migrate it live`;
  return fail("storage", text);
}

async function checkBase(ctx: Context, target: string, backing: string): Promise<Check> {
  if (await seesPath(ctx, backing))
    return warning("storage", `${target}: ${backing} of ${ctx.host} must be the very same image`);
  return fail("storage", `${target}: ${ctx.host} has no ${backing}, on which it stands`);
}

/** What the copies take, pool by pool. A sparse image may take less. */
async function checkSpace({ virsh, host }: Context, copies: DiskCopy[]): Promise<Check[]> {
  const pools = Map.groupBy(copies, ({ pool }) => pool);
  const checks: Check[] = [];
  for (const [pool, some] of pools) {
    if (pool === undefined) continue;
    const needed = some.reduce((sum, { image }) => sum + (image.data ?? image.size), 0);
    const { Available } = keyValues(await virsh(["pool-info", "--pool", pool, "--bytes"]));
    const free = Number(Available);
    if (!Available || Number.isNaN(free))
      checks.push(warning("space", `how much is free in pool ${pool} of ${host} is unknown`));
    else {
      const text = `pool ${pool} of ${host} has ${free} bytes free, and the disks take ${needed}`;
      checks.push(needed <= free ? pass("space", text) : fail("space", text));
    }
  }
  return checks;
}
