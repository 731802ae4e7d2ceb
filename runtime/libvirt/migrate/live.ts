/**
 * Moves a running domain. A virsh of this machine has both libvirtd at the ends of sockets that lead there by our own
 * connections, so that neither needs to reach the other's: the guest's memory and disks alone flow between the two
 * QEMU. When this server dies, both connections do, and each libvirtd takes its part back.
 */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { hasArrived, stateAndReason } from "../arrival.ts";
import type { Journal } from "../journal.ts";
import { pathExists } from "../program.ts";
import { throwIfCancelled, withRollback } from "../rollback.ts";
import { watched } from "../watch.ts";
import { arriving } from "./arriving.ts";
import { readState } from "./copy-state.ts";
import type { DiskPlan } from "./disks.ts";
import { migrationUpdate, readStats, type Stats } from "./job-info.ts";
import { makeImages } from "./live-disks.ts";
import { runMigration } from "./run-virsh.ts";
import type { Sides } from "./sides.ts";
import type { MigrateWish } from "./wish.ts";

export interface MovedLive {
  paths: Map<string, string>;
  stats: Stats;
}

export async function migrateLive(
  sides: Sides,
  plan: DiskPlan,
  wish: MigrateWish,
): Promise<MovedLive> {
  const { source, target, name, uuid } = sides;
  return withRollback(target, `migration of ${name} from ${source.host}`, async (journal) => {
    source.progress({ phase: "preparing the target", percent: null });
    const paths = await makeImages(sides, journal, plan);
    await noteState(sides, journal);
    throwIfCancelled(source);
    const look = () => migrationUpdate(source, uuid);
    await journal.track(arriving(sides, { kind: "domain", name: uuid }), () =>
      watched(source, look, () => move(sides, plan, paths, wish)),
    );
    return { paths, stats: await readStats(source, target, uuid) };
  });
}

/** What libvirt makes there beside, and does not always remove again. */
async function noteState(sides: Sides, journal: Journal) {
  const { target } = sides;
  const { nvram, tpm } = await readState(sides);
  for (const [kind, path] of [["file", nvram] as const, ["folder", tpm] as const])
    if (path && !(await pathExists(target, path)))
      await journal.track(arriving(sides, { kind, path }), async () => {});
}

/** Whatever virsh says, the two libvirtd decide where the guest is. */
async function move(sides: Sides, plan: DiskPlan, paths: Map<string, string>, wish: MigrateWish) {
  const { source, target, name, uuid } = sides;
  const failure = await runMigration(sides, plan, paths, wish).then(
    () => undefined,
    (error: Error) => error,
  );
  if (failure) source.log.warn(`virsh has not migrated the guest: ${failure.message}`);
  if (failure) await untilSettled(sides);
  if (await hasArrived(target, { from: source.host, uuid, live: true })) {
    if (!failure) return;
    if ((await stateAndReason(target, uuid)) === undefined) throw ended(name, failure);
    source.log.warn("The guest has moved all the same.");
    return;
  }
  throw failure ?? new HyperError("virsh_failed", `virsh migrated ${name}, but it did not arrive`);
}

/** Neither side has it any more. */
function ended(name: string, failure: Error): HyperError {
  const known = failure instanceof HyperError && failure.code !== "not_found";
  const text = `the guest of ${name} has ended on its way: ${failure.message}`;
  return new HyperError(known ? failure.code : "virsh_failed", text, { cause: failure });
}

const SETTLE_MS = 30_000;
const LOOK_MS = 250;

/** Waits until both libvirtd have taken their parts back. A side that cannot be asked is the rollback's to wait for. */
async function untilSettled({ source, target, uuid }: Sides) {
  const isAtWork = async (ctx: Context) => {
    const state = await stateAndReason(ctx, uuid).catch(() => undefined);
    return state !== undefined && /^paused \((migrating|post-copy)\)/.test(state);
  };
  for (const end = Date.now() + SETTLE_MS; Date.now() < end; ) {
    if (!(await isAtWork(source)) && !(await isAtWork(target))) return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
