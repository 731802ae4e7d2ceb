/** Deleting a volume, and the file that holds its data. */
import type { Context } from "../../hypervisor/context.ts";
import { pathExists } from "../program.ts";
import { nameFor } from "../shown-domains.ts";
import type { Storage } from "./usage.ts";

interface Place {
  pool: string;
  name: string;
  path: string;
}

/** What is left of a volume, and why. */
export interface Kept {
  path: string;
  reason: string;
}

/** Deletes a volume. Its data file goes too if it is in the same pool and nothing else uses it. */
export async function deleteVolume(
  ctx: Context,
  storage: Storage,
  { pool, name, path }: Place,
): Promise<{ removed: string[]; kept: Kept[] }> {
  await ctx.virsh(["vol-delete", "--pool", pool, "--vol", name]);
  const file = storage.dataFiles.get(path);
  if (!file) return { removed: [path], kept: [] };
  const volume = storage.volumeOf({ path: file, pool: undefined, volume: undefined });
  if (!volume && !(await pathExists(ctx, file).catch(() => true)))
    return { removed: [path], kept: [] };
  const keep = (reason: string) => ({ removed: [path], kept: [{ path: file, reason }] });
  const reason = reasonToKeep(ctx, storage, volume, pool, path);
  if (!volume || reason) return keep(`it held the data of ${path}, and ${reason}`);
  const [outcome] = await ctx.virsh.settled([["vol-delete", "--pool", pool, "--vol", volume.name]]);
  if (typeof outcome === "string") return { removed: [path, volume.path], kept: [] };
  return keep(`it held the data of ${path}, and could not be removed: ${outcome?.message}`);
}

function reasonToKeep(
  ctx: Context,
  storage: Storage,
  volume: Place | undefined,
  pool: string,
  path: string,
): string | undefined {
  if (!volume) return "is in no active pool";
  if (volume.pool !== pool) return `is in another pool, ${volume.pool}`;
  const [use] = storage.disksUsing(volume);
  if (use) return `${nameFor(ctx, use.domain)} uses it`;
  const others = [...storage.overlaysOf(volume), ...storage.dataUsersOf(volume)];
  const other = others.find((image) => image !== path);
  return other && `${other} uses it`;
}
