/** Moves a domain that is off: all that it is made of is copied, compared, and only then the source lets it go. */
import { HyperError } from "../../core/errors.ts";
import { inParts, unwatched } from "../../core/progress.ts";
import { listDomains } from "../domain/domain.ts";
import type { Journal } from "../journal.ts";
import { throwIfCancelled, withRollback } from "../rollback.ts";
import { arriving } from "./arriving.ts";
import { copyDisk } from "./copy-disk.ts";
import { copyState, readState } from "./copy-state.ts";
import type { DiskPlan } from "./disks.ts";
import { retargeted } from "./retarget.ts";
import type { Sides } from "./sides.ts";
import { readSnapshotList, redefineSnapshots } from "./snapshots.ts";
import { watchStill } from "./still.ts";
import { assertSame } from "./verify.ts";

export interface Moved {
  /** By target, the path that each copy has there. */
  paths: Map<string, string>;
  snapshots: number;
}

export async function migrateOffline(sides: Sides, plan: DiskPlan): Promise<Moved> {
  const { target, name, source } = sides;
  return withRollback(target, `migration of ${name} from ${source.host}`, async (journal) => {
    const assertUntouched = await watchStill(sides, plan);
    const paths = await copyDisks(sides, journal, plan);
    const state = await readState(sides);
    await copyState(sides, journal, state);
    await assertUntouched();
    const text = retargeted(sides.text, plan.copies, paths);
    const snapshots = await readSnapshotList(source, sides.uuid);
    source.progress({ phase: "defining the domain", percent: 100 });
    await defineThere(sides, journal, text);
    await redefineSnapshots(target, sides.uuid, snapshots);
    await assertSame(target, sides.uuid, text);
    const there = await readSnapshotList(target, sides.uuid);
    if (there.length !== snapshots.length)
      throw new HyperError("virsh_failed", `${target.host} has not taken all snapshots`);
    await assertUntouched();
    throwIfCancelled(source);
    return { paths, snapshots: snapshots.length };
  });
}

async function copyDisks(sides: Sides, journal: Journal, { copies }: DiskPlan) {
  const { source } = sides;
  const weights = copies.map(({ image }) => image.size);
  const parts = inParts(source.progress, weights, "bytes");
  const paths = new Map<string, string>();
  for (const [i, copy] of copies.entries()) {
    throwIfCancelled(source);
    paths.set(copy.target, await copyDisk(sides, journal, copy, parts[i] ?? unwatched));
  }
  return paths;
}

async function defineThere(sides: Sides, journal: Journal, text: string) {
  const { target, uuid, name } = sides;
  throwIfCancelled(sides.source);
  const domains = await listDomains(target, "--all");
  if (domains.some((other) => other.uuid === uuid || other.name === name))
    throw new HyperError("already_exists", `${target.host} has a domain ${name} by now`);
  await journal.track(arriving(sides, { kind: "domain", name: uuid }), () =>
    target.virsh(["define", "--file", { text }]),
  );
}
