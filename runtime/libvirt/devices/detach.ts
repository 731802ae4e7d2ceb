/** Detaching a disk, from the running domain and from its stored definition alike, and removing its image on demand. */
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { readDefinition } from "../definitions.ts";
import { type Disk, readDisks } from "../disk.ts";
import { domainState, nameIn } from "../domain/domain.ts";
import { ownVolumes } from "../domain/own-volumes.ts";
import { deleteVolume } from "../storage/delete-volume.ts";
import { removeLooseFile } from "../storage/loose-files.ts";
import { readStorage } from "../storage/usage.ts";
import { lines } from "../virsh-output.ts";
import { parseXml } from "../xml.ts";
import { findTarget, readBoth, type Wanted } from "./find.ts";

const Kept = z.object({ path: z.string(), reason: z.string() });

export const DetachedDisk = z.object({
  name: z.string(),
  target: z.string(),
  path: z.string().nullable(),
  live: z
    .union([z.boolean(), z.literal("requested")])
    .describe(
      'detached from the running domain; "requested": the guest was asked and still has it',
    ),
  persistent: z.boolean().describe("removed from its stored definition"),
  removed: z.array(z.string()).optional().describe("with remove: paths"),
  kept: z.array(Kept).optional().describe("with remove: what stays, and why"),
});

/** `uuid` is the domain's, `dominfo` what virsh says of it now. */
export async function detachDisk(
  ctx: Context,
  uuid: string,
  dominfo: string,
  { remove, ...wanted }: Wanted & { remove: boolean },
): Promise<z.output<typeof DetachedDisk>> {
  const name = nameIn(dominfo) ?? uuid;
  const disks = await readBoth(ctx, uuid, domainState(dominfo));
  const target = await findTarget(ctx, name, disks, wanted);
  const here = (list: Disk[] | undefined) => list?.find((disk) => disk.target === target);
  const [running, stored] = [here(disks.live), here(disks.stored)];
  if (running) assertUnpluggable(running);
  const path = (running ?? stored)?.path;
  const removal = remove
    ? await planRemoval(ctx, uuid, name, target, running ?? stored)
    : undefined;
  const selection = ["--domain", uuid, "--target", target];
  const live = running !== undefined && (await detachLive(ctx, uuid, target, selection));
  if (stored) {
    await ctx.virsh(["detach-disk", ...selection, "--config"]).catch((error: HyperError) => {
      if (!live) throw error;
      const done = live === "requested" ? "was asked to release" : "has lost";
      const text = `${error.message}; the running domain ${done} disk ${target}, its definition still has it`;
      throw new HyperError(error.code, text, { cause: error });
    });
  }
  const result = { name, target, path: path ?? null, live, persistent: stored !== undefined };
  if (!removal) return result;
  if (live !== "requested") return { ...result, ...(await removal()) };
  return { ...result, removed: [], kept: [{ path: `${path}`, reason: "the guest still has it" }] };
}

/** Drives of these buses cannot leave a running domain; of a CD-ROM only the medium can. */
function assertUnpluggable({ target, device, bus = "" }: Disk) {
  if (!/^(ide|sata|fdc)$/.test(bus)) return;
  const instead = device === "cdrom" ? "; cdrom/eject takes out its medium" : "";
  const text = `target: ${target} is on the ${bus} bus, from which a running domain cannot lose a disk${instead}; shut it down first`;
  throw new HyperError("unsupported", text);
}

/** The guest releases the disk. virsh reports success after 5 s even if it has not, so it gets 5 s more. */
export async function detachLive(ctx: Context, uuid: string, target: string, selection: string[]) {
  await ctx.virsh(["detach-disk", ...selection, "--live"]);
  for (let attempt = 0; attempt < 20; attempt++) {
    const { text, stuck } = await readDefinition(ctx, uuid);
    const disks = readDisks(parseXml(text, "domain"));
    if (!stuck && !disks.some((disk) => disk.target === target)) return true;
    await sleep(250);
  }
  return "requested" as const;
}

/** Resolves to what removes the image of the disk. Throws `in_use`, before anything, for one that is not its alone. */
async function planRemoval(
  ctx: Context,
  uuid: string,
  name: string,
  target: string,
  disk: Disk | undefined,
) {
  const snapshots = lines(await ctx.virsh(["snapshot-list", "--domain", uuid, "--name"]));
  if (snapshots.length > 0) {
    const text = `remove: the snapshots of ${name} (${snapshots.join(", ")}) are of this disk too; delete them first`;
    throw new HyperError("in_use", text, { details: { snapshots } });
  }
  const storage = await readStorage(ctx);
  const none = { snapshots: { overlays: [], disks: [] }, seed: undefined };
  const own = await ownVolumes(ctx, storage, name, none, new Set());
  const use = storage.uses.find(
    (one) => one.domain === name && one.target === target && !one.below,
  );
  const volume = use && storage.volumeOf(use);
  const path = volume?.path ?? storage.real.get(`${disk?.path}`) ?? `${disk?.path}`;
  const image = own.remove.find(
    (one) => (storage.real.get(one.path) ?? one.path) === (storage.real.get(path) ?? path),
  );
  if (!image) {
    const reason = own.kept.find((one) => one.path === path || one.path === disk?.path)?.reason;
    const text = `remove: ${disk?.path ?? `disk ${target}`} is not the domain's alone: ${reason ?? "it is no file"}`;
    throw new HyperError("in_use", text);
  }
  return async () => {
    const removing =
      image.pool === undefined
        ? removeLooseFile(ctx, storage, image)
        : deleteVolume(ctx, storage, image);
    return removing.catch((error: HyperError) => {
      const text = `disk ${target} is detached, but its image ${image.path} is left: ${error.message}`;
      throw new HyperError(error.code, text, { cause: error });
    });
  };
}
