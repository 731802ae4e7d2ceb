/** The manifest of an appliance against its files. */
import { posix } from "node:path";
import type { Context } from "../../hypervisor/context.ts";
import { refusedImage } from "../storage/import-file.ts";
import { digestOf, digestOfPiece, type ForeignFile, openForeign } from "./foreign-file.ts";
import type { Source } from "./source.ts";

/**
 * Throws `invalid_input` unless the manifest has every file of the appliance, and the right digest of each that is no
 * disk: those of the disks are checked when they are taken.
 */
export async function assertManifest(ctx: Context, source: Source) {
  const { digests, description, appliance, file, members, kind } = source;
  if (!digests || !description) return;
  const disks = new Set(appliance.disks.flatMap((disk) => disk.file ?? []));
  const missing = [description.name, ...disks].find((name) => !digests.has(name));
  if (missing) throw refusedImage(file.label, `has a manifest that has no digest of ${missing}`);
  for (const [name, { algorithm, value }] of digests) {
    if (disks.has(name)) continue;
    const member = members.find((one) => one.name === name);
    if (kind === "ova" && !member)
      throw refusedImage(file.label, `has a manifest with a digest of ${name}, which is not in it`);
    const found = member
      ? await digestOfPiece(ctx, file, member, algorithm)
      : await digestOf(ctx, await besideOf(ctx, source, name), algorithm);
    if (found !== value) throw differs(file, name);
  }
}

const besideOf = (ctx: Context, { field, file }: Source, name: string) =>
  openForeign(ctx, field, posix.join(posix.dirname(file.path), name));

/** Throws `invalid_input` for a disk that is another than the manifest's. */
export async function assertDigest(
  ctx: Context,
  { digests, file }: Source,
  name: string,
  place: { path: string },
) {
  const digest = digests?.get(name);
  if (!digest) return;
  ctx.progress({ phase: `checking ${name}`, percent: null });
  if ((await digestOf(ctx, place, digest.algorithm)) !== digest.value) throw differs(file, name);
}

const differs = ({ label }: ForeignFile, name: string) =>
  refusedImage(
    label,
    `has a manifest with another digest of ${name}: the file was changed or damaged`,
  );
