/** The images of an appliance: each is checked as an upload is, and becomes a volume. */
import { randomUUID } from "node:crypto";
import { posix } from "node:path";
import type { Progress } from "../../core/progress.ts";
import { inParts, unwatched } from "../../core/progress.ts";
import type { Context } from "../../hypervisor/context.ts";
import type { Journal } from "../journal.ts";
import { runProgram } from "../program.ts";
import { removeResource } from "../resource.ts";
import { throwIfCancelled } from "../rollback.ts";
import { refusedImage, type SourceImage } from "../storage/import-file.ts";
import { allowedPath, inspectFile, type SourceFormat } from "../storage/import-image.ts";
import { importVolume } from "../storage/import-volume.ts";
import { assertSpace, stagingFor } from "../storage/staging.ts";
import type { Format, Volume } from "../storage/volume.ts";
import { flatExtent } from "./flat-vmdk.ts";
import { extractPiece } from "./foreign-file.ts";
import type { Source } from "./source.ts";
import { assertDigest } from "./verify.ts";

/** A volume that an image is to become. */
export interface Target {
  pool: string;
  name: string;
  format: Format;
}

/** Makes the volume of a file of the appliance. */
export async function importImage(
  ctx: Context,
  journal: Journal,
  source: Source,
  name: string,
  {
    target,
    expected,
    progress,
  }: { target: Target; expected?: SourceFormat | undefined; progress: Progress },
): Promise<Volume> {
  throwIfCancelled(ctx);
  const staging =
    source.kind === "ova" ? await stagingFor(ctx, target.pool, target.name) : undefined;
  const place = { ...staging, progress, expected };
  return withImage(ctx, journal, source, name, place, (image, told) =>
    importVolume(ctx, journal, image, target, told),
  );
}

interface Place {
  /** Where an image is to lie that is taken out of an archive: a new folder, or within this one. */
  parent?: string;
  folder?: string;
  free?: number | undefined;
  progress: Progress;
  expected?: SourceFormat | undefined;
}

/** Works on an image, once it is checked. What is taken out of an archive lies in a folder that goes again. */
export async function withImage<T>(
  ctx: Context,
  journal: Journal,
  source: Source,
  name: string,
  { progress, expected, parent, folder, free }: Place,
  work: (image: SourceImage, progress: Progress) => Promise<T>,
): Promise<T> {
  if (source.kind !== "ova") return work(await imageBeside(ctx, source, name, expected), progress);
  const [taking = unwatched, working = unwatched] = inParts(progress, [1, 1]);
  const at = parent === undefined ? `${folder}/.hypersdk-${randomUUID()}` : `${folder}`;
  const staged = await stage(ctx, journal, source, name, {
    folder: at,
    parent,
    free,
    progress: taking,
  });
  const result = await work(staged.image, working);
  await removeResource(ctx, staged.folder);
  return result;
}

async function stage(
  ctx: Context,
  journal: Journal,
  source: Source,
  name: string,
  {
    folder,
    parent = folder,
    free,
    progress,
  }: { folder: string; parent?: string | undefined; free?: number | undefined; progress: Progress },
) {
  const { file, field } = source;
  const label = `${file.label}, its ${name}`;
  const member = source.members.find((one) => one.name === name);
  if (!member) throw refusedImage(file.label, `describes a disk in ${name}, which is not in it`);
  assertSpace({ parent, folder, free }, member.size, field);
  const resource = { kind: "folder" as const, path: folder };
  await journal.track(resource, () => runProgram(ctx, ["mkdir", "-m", "700", "--", folder]));
  const path = posix.join(folder, "image");
  await extractPiece(ctx, file, member, path, progress);
  const { stdout } = await runProgram(ctx, ["stat", "-c", "%s", "--", path]);
  if (Number(stdout) !== member.size) throw refusedImage(label, "is cut off");
  await assertDigest(ctx, source, name, { path });
  return {
    folder: resource,
    image: await inspectFile(ctx, path, label, undefined, { name, use: "disk" }),
  };
}

/** The image of a file in the folder of the description, or of the bare image itself. */
async function imageBeside(
  ctx: Context,
  source: Source,
  name: string,
  expected: SourceFormat | undefined,
): Promise<SourceImage> {
  const { file, field, kind } = source;
  if (kind === "image") return inspectBare(ctx, file, expected);
  const path = await findBeside(ctx, field, posix.dirname(file.path), name);
  await assertDigest(ctx, source, name, { path });
  const label = `${file.label}, its ${name}`;
  const flat = await flatExtent(ctx, path, label);
  if (!flat) return inspectFile(ctx, path, label, undefined, { name, use: "disk" });
  const data = await findBeside(ctx, field, posix.dirname(file.path), flat.name);
  const image = await inspectFile(ctx, data, `${label} (${flat.name})`, "raw");
  if (image.virtualSize === flat.bytes) return image;
  throw refusedImage(
    label,
    `says that ${flat.name} has ${flat.bytes} bytes, and it has ${image.virtualSize}`,
  );
}

/** An image without a description is the disk that a machine boots from. */
export const inspectBare = (
  ctx: Context,
  { path, label }: Source["file"],
  expected?: SourceFormat | undefined,
) => inspectFile(ctx, path, label, expected, { name: path, use: "boot disk" });

/** A link may not lead out of the allowed folders. */
const findBeside = (ctx: Context, field: string, folder: string, name: string) =>
  allowedPath(ctx, posix.join(folder, name), field);
