/** A new disk whose attachment failed is taken back, since the domain may have it all the same. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import type { Disk } from "../disk.ts";
import type { DomainState } from "../domain/domain.ts";
import type { Journal } from "../journal.ts";
import { withLeft } from "../rollback.ts";
import { detachLive } from "./detach.ts";
import { readBoth } from "./find.ts";
import type { DiskSource } from "./source.ts";

/**
 * Runs a step after whose failure the new volume is removed. It may have failed with the connection alone, and the
 * domain have the disk: then the disk goes first. A volume that the domain may have stays.
 */
export async function orTakenBack(
  ctx: Context,
  journal: Journal,
  { uuid, target, state, source }: Attached,
  step: () => Promise<void>,
) {
  await step().catch(async (error: unknown) => {
    await takeBack(ctx, { uuid, target, state, source }).catch(async (why: Error) => {
      await journal.release();
      const left = `volume ${source.name} of pool ${source.pool}, which the domain may have as ${target} (${why.message})`;
      throw withLeft(error, `left behind: ${left}`);
    });
    throw error;
  });
}

interface Attached {
  uuid: string;
  target: string;
  state: DomainState;
  source: DiskSource;
}

async function takeBack(ctx: Context, { uuid, target, state, source }: Attached) {
  const disks = await readBoth(ctx, uuid, state);
  const isIn = (list: Disk[] = []) =>
    list.some((disk) => disk.target === target && disk.path === source.path);
  const selection = ["--domain", uuid, "--target", target];
  if (isIn(disks.live) && (await detachLive(ctx, uuid, target, selection)) !== true)
    throw new HyperError("in_use", "the guest still has it");
  const { stored } = await readBoth(ctx, uuid, { ...state, live: false });
  if (isIn(stored)) await ctx.virsh(["detach-disk", ...selection, "--config"]);
}
