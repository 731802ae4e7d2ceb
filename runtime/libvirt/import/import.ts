/**
 * Virtual machines of other systems become domains: their images become volumes, their description a domain on these.
 * Everything is judged before it is taken, and a failure leaves nothing.
 */
import * as z from "zod";
import { inParts, type Progress, unwatched } from "../../core/progress.ts";
import type { Context } from "../../hypervisor/context.ts";
import { awaitGuest, createDomain } from "../create/create.ts";
import { Created } from "../create/created.ts";
import { planDomain } from "../create/plan.ts";
import type { PlannedDisk } from "../create/planned.ts";
import { DomainWish } from "../create/wish.ts";
import type { Journal } from "../journal.ts";
import { throwIfCancelled, withRollback } from "../rollback.ts";
import type { Format, Volume } from "../storage/volume.ts";
import { putDriversIn, wantsDrivers } from "./drivers.ts";
import { importImage } from "./images.ts";
import { readSource, type Source } from "./source.ts";
import { assertManifest } from "./verify.ts";
import { asImport, type ImportWish, networkFields, wishFor } from "./wish.ts";

export const Imported = Created.extend({
  source: z.object({
    path: z.string(),
    kind: z.enum(["ova", "ovf", "vmx", "image"]),
    name: z.string().nullable().describe("of the machine over there"),
    guest: z.string().nullable().describe("its system, in the words of its description"),
    manifest: z.boolean().describe("its files were compared with the digests of a manifest"),
    drivers: z.boolean().describe("virt-v2v has put virtio drivers in"),
  }),
});
export type Imported = z.output<typeof Imported>;

/** What is to be made of a source; nothing is made yet. */
export async function planImport(
  ctx: Context,
  { field, path }: { field: string; path: string },
  wish: ImportWish,
) {
  const source = await readSource(ctx, field, path);
  const putsDrivers = await wantsDrivers(ctx, source.appliance, wish);
  const wanted = wishFor(source, wish, putsDrivers);
  ctx.checkDomain(wanted.name);
  const networks = networkFields(source.appliance, wish);
  const plan = await asImport(() => planDomain(ctx, wanted), networks);
  return { source, putsDrivers, wanted, plan };
}

/** `path` is in the field `field`. */
export async function importMachine(
  ctx: Context,
  from: { field: string; path: string },
  wish: ImportWish,
): Promise<Imported> {
  // all that can be known to fail fails now, and not after the copy of a disk
  const { source, putsDrivers, wanted, plan } = await planImport(ctx, from, wish);
  await assertManifest(ctx, source);
  const operation = `import of ${from.path} as domain ${wanted.name}`;
  const made = await withRollback(ctx, operation, async (journal) => {
    const { disks, volumes } = await importDisks(ctx, journal, source, plan.disks, wish);
    if (putsDrivers) await putDriversIn(ctx, journal, volumes);
    throwIfCancelled(ctx);
    const domain = DomainWish.parse({ ...asGiven(wanted), disks });
    const networks = networkFields(source.appliance, wish);
    const created = await asImport(() => createDomain(ctx, domain, { madeHere: true }), networks);
    return { ...created, source: { ...summary(source), drivers: putsDrivers } };
  });
  // the domain is there, and stays if its guest does not come
  return { ...made, ...(await awaitGuest(ctx, made, wanted)) };
}

/** A wish as it may be parsed again: sizes are gone with the disks. The guest is waited for at the end. */
const asGiven = ({ disks: _, wait: __, ...rest }: DomainWish) => rest;

const summary = ({ file, kind, appliance, digests }: Source) => ({
  ...{ path: file.path, kind, name: appliance.name ?? null },
  ...{ guest: appliance.guest ?? null, manifest: digests !== undefined },
});

/** The disks of the domain, in their order: a volume of each image, and the size of those that are empty. */
async function importDisks(
  ctx: Context,
  journal: Journal,
  source: Source,
  planned: PlannedDisk[],
  wish: ImportWish,
) {
  const weights = source.appliance.disks.map(({ file }) => (file ? sizeOf(source, file) : 0));
  const parts = inParts(ctx.progress, weights);
  const [disks, volumes]: [object[], Volume[]] = [[], []];
  for (const [i, disk] of source.appliance.disks.entries()) {
    const { pool = "", name = "", format, bus } = planned[i] as PlannedDisk;
    if (disk.file === undefined) {
      disks.push({ size: `${disk.capacity}B`, pool, format: wish.format, bus });
      continue;
    }
    const target = { pool, name, format: format as Format };
    const progress: Progress = parts[i] ?? unwatched;
    const expected = wish.source_format;
    volumes.push(
      await importImage(ctx, journal, source, disk.file, { target, expected, progress }),
    );
    disks.push({ volume: name, pool, bus });
  }
  return { disks, volumes };
}

/** What its file takes, as far as it is known before it is opened. */
function sizeOf({ members, appliance, file }: Source, name: string): number {
  const member = members.find((one) => one.name === name);
  return member?.size ?? appliance.sizes.get(name) ?? file.size;
}
