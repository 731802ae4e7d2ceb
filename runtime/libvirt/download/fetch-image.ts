/** An image of a URL becomes a new volume, or nothing is left of it. */
import { inParts, type Progress, unwatched } from "../../core/progress.ts";
import type { Context } from "../../hypervisor/context.ts";
import type { Journal } from "../journal.ts";
import { inspectFile, type SourceFormat } from "../storage/import-image.ts";
import type { Claim } from "../storage/import-plausible.ts";
import { adoptImage, ownFormat } from "../storage/import-volume.ts";
import { receiveBytes } from "../storage/receive.ts";
import { stagingFor } from "../storage/staging.ts";
import type { Format, Volume } from "../storage/volume.ts";
import { openDownload, type Source } from "./download.ts";
import { unpack } from "./unpack.ts";

export interface Wanted {
  pool: string;
  name: string;
  /** @default what the image is */
  format?: Format | undefined;
  /** What the image must be. */
  sourceFormat?: SourceFormat | undefined;
  /** In bytes, if it is to be larger than the image. */
  capacity?: number | undefined;
  /** What a raw image must look like, unless it must be raw. */
  use?: Claim["use"];
}

export interface Fetched extends Volume {
  source_format: string;
  compression: string | null;
  sha256: string;
}

/**
 * This process downloads and streams to the hypervisor, so that a hypervisor needs no way to the internet, and the rules
 * for addresses hold where the connection is made.
 */
export async function fetchImage(
  ctx: Context,
  journal: Pick<Journal, "track">,
  source: Source,
  { pool, name, format, sourceFormat, capacity, use = "disk" }: Wanted,
  progress: Progress,
): Promise<Fetched> {
  const parts = inParts(progress, [8, 1, 1]);
  const [downloading = unwatched, unpacking = unwatched, filling = unwatched] = parts;
  const staging = await stagingFor(ctx, pool, name, "name");
  const download = await openDownload(ctx, source);
  const into = { ...staging, progress: downloading, field: "url", phase: "downloading" };
  const path = await receiveBytes(ctx, journal, download, into).finally(download.close);
  const label = "url: the image";
  const compression = await unpack(ctx, path, label, unpacking);
  unpacking({ phase: "inspecting", percent: 100 });
  const claim = { name: new URL(source.url).pathname, use };
  const image = await inspectFile(ctx, path, label, sourceFormat, claim);
  const wanted = { pool, name, format: format ?? ownFormat(image), capacity };
  const made = await adoptImage(ctx, journal, image, wanted, filling);
  const { format: source_format } = image;
  return { ...made, source_format, compression: compression ?? null, sha256: download.sha256() };
}
