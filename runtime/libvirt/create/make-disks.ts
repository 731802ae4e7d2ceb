/** Makes the disks of a new domain, each noted in the journal before. */
import { inParts, unwatched } from "../../core/progress.ts";
import type { Context } from "../../hypervisor/context.ts";
import { makeDisks as makeCopies } from "../clone/disks.ts";
import { fetchImage } from "../download/fetch-image.ts";
import type { Journal } from "../journal.ts";
import { type Format, readVolume, volumeXml } from "../storage/volume.ts";
import { inField } from "./field.ts";
import type { PlannedDisk } from "./planned.ts";

export async function makeDisks(ctx: Context, journal: Journal, disks: PlannedDisk[]) {
  const toMake = disks.filter(({ make }) => make);
  const weights = toMake.map(({ make }) =>
    make && ("fetch" in make || ("copy" in make && !make.copy.linked)) ? 100 : 1,
  );
  const parts = inParts(ctx.progress, weights);
  for (const [i, disk] of toMake.entries())
    await inField(disk.make && "fetch" in disk.make ? `${disk.field}.image` : disk.field, () =>
      makeDisk(ctx, journal, disk, parts[i] ?? unwatched),
    );
}

async function makeDisk(
  ctx: Context,
  journal: Journal,
  { make, pool = "", name = "", size, format, target, path }: PlannedDisk,
  progress: Context["progress"],
) {
  if (make && "fetch" in make) {
    const wanted = { pool, name, format: format as Format, capacity: size || undefined };
    const use = "boot disk" as const;
    await fetchImage(ctx, journal, make.fetch, { ...wanted, use }, progress);
    return;
  }
  if (make && "copy" in make) {
    const { linked } = make.copy;
    await makeCopies(ctx, journal, [make.copy], { linked, paused: false, progress });
  } else {
    ctx.log.info(`Disk ${target} becomes a new volume: ${path}.`);
    const create = [
      "vol-create",
      "--pool",
      pool,
      "--file",
      volumeXml({ name, capacity: size, format }),
    ];
    await journal.track({ kind: "volume", pool, name }, () => ctx.virsh(create));
    progress({ phase: `making disk ${target}`, percent: 100 });
  }
  const { capacity_bytes } = await readVolume(ctx, pool, name);
  if (capacity_bytes >= size) return;
  ctx.log.info(`Disk ${target} grows from ${capacity_bytes} to ${size} bytes.`);
  await ctx.virsh(["vol-resize", "--pool", pool, "--vol", name, "--capacity", `${size}B`]);
}
