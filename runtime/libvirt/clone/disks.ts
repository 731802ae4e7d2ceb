/** The disks of a clone: whole copies, a bounded number at once, or overlays on the source's disks. */
import { inParts, type Progress, unwatched } from "../../core/progress.ts";
import type { Context } from "../../hypervisor/context.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import type { Journal } from "../journal.ts";
import { throwIfCancelled } from "../rollback.ts";
import { whileFilling } from "../storage/allocation.ts";
import { inCopyPlace } from "../storage/copy-place.ts";
import { fillVolume, type Target } from "../storage/fill-volume.ts";
import { mayRead, needsRoot } from "../storage/image-access.ts";
import { assertCopyable, convertDisk } from "../storage/isolation-chain.ts";
import { type DiskImage, isDevice } from "../storage/locate.ts";
import { createOverlay } from "../storage/qemu-img.ts";
import { IMAGE_TIMEOUT_MS, type NewVolume, readVolume, volumeXml } from "../storage/volume.ts";
import { shrinkVolume } from "../storage/volume-model.ts";
import { assertCreatable, makeFile } from "./new-file.ts";
import type { Plan as DomainPlan } from "./plan.ts";

/** One disk to be made; where its source stands in a definition does not matter. */
export interface Plan extends Omit<DomainPlan, "span"> {
  /** In bytes, where a copy is to be larger than its source; an overlay is not. */
  capacity?: number;
}

/** Throws, before anything is made, if a disk can be copied neither by the login user nor by libvirtd. */
export async function assertPossible(
  ctx: Context,
  plans: Plan[],
  { linked, paused }: { linked: boolean; paused: boolean },
) {
  for (const { pool, from, path, target } of plans) {
    if (!pool) await assertCreatable(ctx, path);
    const isRead = !linked || !pool;
    if (!isRead || (await mayRead(ctx, from.path, from.format))) continue;
    const { volume } = from;
    if (!volume || !byLibvirt(from, pool, paused))
      throw needsRoot(ctx, `disk ${target}: a copy reads ${from.path}`);
    if (from.format !== "raw") {
      await assertCopyable(ctx, await readVolume(ctx, volume.pool, volume.name));
    }
  }
}

/** libvirtd copies volumes of domains that are off, if it sees them as the guest does. */
const byLibvirt = (from: DiskImage, pool: string | undefined, paused: boolean) =>
  pool !== undefined && !paused && from.isSeenAlike;

/** Of what is copied the bytes count, as far as they are known of all disks; else, and of overlays, the disks. */
function progressOf(progress: Progress, plans: Plan[], linked: boolean): Progress[] {
  const data = plans.flatMap(({ from }) => from.data ?? []);
  if (!linked && data.length === plans.length) return inParts(progress, data, "bytes");
  return inParts(
    progress,
    plans.map(({ from }) => (linked ? 1 : from.size)),
  );
}

/** Makes the disks one after the other, so that a disconnected client is noticed between two. */
export async function makeDisks(
  ctx: Context,
  journal: Journal,
  plans: Plan[],
  { linked, paused, progress: told }: { linked: boolean; paused: boolean; progress: Progress },
) {
  const parts = progressOf(told, plans, linked);
  for (const [i, plan] of plans.entries()) {
    const [{ target, path, from }, progress = unwatched] = [plan, parts[i]];
    const phase = linked ? `making an overlay for disk ${target}` : `copying disk ${target}`;
    if (linked) {
      ctx.log.info(`Disk ${target} becomes an overlay on ${from.path}: ${path}.`);
      await makeOverlay(ctx, journal, plan);
    } else {
      progress({ phase: `waiting to copy disk ${target}`, percent: 0 });
      const copy = () => {
        ctx.log.info(`Disk ${target} is copied from ${from.path} to ${path}.`);
        return makeCopy(ctx, journal, plan, paused, (update) => progress({ ...update, phase }));
      };
      await inCopyPlace(ctx, copy);
    }
    progress({ phase, percent: 100 });
  }
}

async function makeOverlay(ctx: Context, journal: Journal, { pool, name, from, path }: Plan) {
  if (!pool) {
    const write = async () => {
      const result = await createOverlay(ctx.exec, path, from);
      if (result.exitCode !== 0) throw programError("qemu-img create", result);
    };
    return makeFile(ctx, journal, path, from.path, write);
  }
  const backing = { path: from.path, format: from.format };
  await createVolume(ctx, journal, pool, { name, capacity: from.size, format: "qcow2", backing });
  if (from.size % 1024 > 0) await shrinkVolume(ctx, { pool, name }, from.size);
}

/** Copies with qemu-img where possible: libvirtd's own copy cannot be cancelled, and needs a domain that is off. */
async function makeCopy(
  ctx: Context,
  journal: Journal,
  plan: Plan,
  paused: boolean,
  progress: Progress,
) {
  throwIfCancelled(ctx);
  const { pool, name, from, path, format, capacity = from.size } = plan;
  const source = { source: from.path, sourceFormat: from.format, shared: paused };
  const limits = { timeout: IMAGE_TIMEOUT_MS, signal: ctx.signal };
  const convert = async (into: Target, told: Progress) => {
    const onPercent = (percent: number) => told({ phase: "copying", percent });
    const result = await convertDisk(ctx, { ...source, ...into }, { ...limits, onPercent });
    if (result.exitCode !== 0) throw programError("qemu-img convert", result);
  };
  if (!pool) {
    const write = () => convert({ target: path, targetFormat: format }, progress);
    return makeFile(ctx, journal, path, from.path, write);
  }
  const volume = { name, capacity, format };
  if (from.volume && !(await mayRead(ctx, from.path, from.format)))
    return copyVolume(ctx, journal, plan, volume, progress);
  await createVolume(ctx, journal, pool, volume);
  const made = { pool, ...volume, path, type: typeOf(path) };
  await fillVolume(ctx, journal, made, from.size, convert, progress);
}

/** Has libvirtd copy a volume that the login user may not read, with everything below it. */
async function copyVolume(
  ctx: Context,
  journal: Journal,
  { pool = "", name, path, from }: Plan,
  volume: NewVolume,
  progress: Progress,
) {
  const source = ["--vol", `${from.volume?.name}`, "--inputpool", `${from.volume?.pool}`];
  const create = ["vol-create-from", "--pool", pool, "--file", volumeXml(volume), ...source];
  const filling = { phase: "copying", total: from.data, progress };
  await journal.track({ kind: "volume", pool, name }, () =>
    whileFilling(ctx, { pool, name, type: typeOf(path) }, filling, () =>
      ctx.virsh.oneShot(create, { timeout: IMAGE_TIMEOUT_MS }),
    ),
  );
}

const typeOf = (path: string) => (isDevice(path) ? "block" : "file");

/** Creates a new volume; libvirt refuses a name that is taken. */
function createVolume(ctx: Context, journal: Journal, pool: string, volume: NewVolume) {
  const create = ["vol-create", "--pool", pool, "--file", volumeXml(volume)];
  return journal.track({ kind: "volume", pool, name: volume.name }, () => ctx.virsh(create));
}
