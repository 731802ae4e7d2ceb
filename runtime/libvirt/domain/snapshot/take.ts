/** Taking a snapshot of a domain. */
import { HyperError } from "../../../core/errors.ts";
import type { Context } from "../../../hypervisor/context.ts";
import { readAnswering } from "../../definitions.ts";
import { readDisks } from "../../disk.ts";
import { allocatedBytes } from "../../storage/allocation.ts";
import { IMAGE_TIMEOUT_MS, readVolume } from "../../storage/volume.ts";
import { watched } from "../../watch.ts";
import { parseXml } from "../../xml.ts";
import { explainJobName } from "./job-name.ts";

export interface SnapshotRequest {
  name: string;
  description?: string | undefined;
  disk_only: boolean;
  atomic: boolean;
}

/** In a process of its own: writing the memory of a large guest takes long. */
export async function takeSnapshot(
  ctx: Context,
  domain: string,
  { name, description, disk_only, atomic }: SnapshotRequest,
) {
  const options = [
    ...(description ? ["--description", description] : []),
    ...(disk_only ? ["--disk-only", ...(await overlayOptions(ctx, domain, name))] : []),
    ...(atomic ? ["--atomic"] : []),
  ];
  const command = ["snapshot-create-as", "--domain", domain, "--name", name, ...options];
  const take = () => ctx.virsh.oneShot(command, { timeout: IMAGE_TIMEOUT_MS });
  const what = disk_only ? "of the disks alone" : "of the disks, and of the memory if it runs";
  ctx.log.info(`Snapshot ${name} of domain ${domain} is taken: ${what}.`);
  ctx.progress({ phase: "taking the snapshot", percent: null });
  await (disk_only ? take() : whileSaving(ctx, domain, take)).catch(explainJobName);
}

/**
 * The memory of a running domain goes into one of its images. QEMU tells nothing meanwhile, and how much it will write
 * nobody knows; what it has written is seen by the space that the images take.
 */
async function whileSaving<T>(ctx: Context, domain: string, take: () => Promise<T>): Promise<T> {
  const paths = await writtenImages(ctx, domain).catch(() => []);
  if (paths.length === 0) return take();
  const before = allocatedBytes(ctx, paths).catch(() => undefined);
  const look = async () => {
    const [first, now] = [await before, await allocatedBytes(ctx, paths)];
    if (first === undefined || now === undefined) return undefined;
    return { phase: "saving the memory", percent: null, bytes: Math.max(0, now - first) };
  };
  return watched(ctx, look, take);
}

/** The files of the disks that a running domain writes to; none of one that is off. */
async function writtenImages(ctx: Context, domain: string): Promise<string[]> {
  const definition = parseXml(await readAnswering(ctx, domain), "domain");
  if (definition["@id"] === undefined) return [];
  return readDisks(definition)
    .filter(({ device, readonly }) => device === "disk" && !readonly)
    .flatMap(({ path }) => path ?? []);
}

/**
 * The overlays of disks that are named by pool and volume: libvirt makes up a file's name only for a disk that is
 * named by its path. As libvirt would, the snapshot's name takes the place of the suffix.
 */
async function overlayOptions(ctx: Context, domain: string, snapshot: string): Promise<string[]> {
  const definition = parseXml(await readAnswering(ctx, domain), "domain");
  const disks = readDisks(definition).filter(
    ({ device, readonly, path, volume }) => device === "disk" && !readonly && (path || volume),
  );
  const byVolume = disks.flatMap(({ target, path, pool, volume }) =>
    !path && pool && volume ? [{ target, pool, volume }] : [],
  );
  const volumes = await Promise.all(
    byVolume.map(({ pool, volume }) => readVolume(ctx, pool, volume)),
  );
  const overlayOf = (path: string) => `${path.replace(/\.[^./]*$/, "")}.${snapshot}`;
  const paths = [...disks.flatMap(({ path }) => path ?? []), ...volumes.map(({ path }) => path)];
  const off = definition["@id"] === undefined;
  if (off && paths.some((path) => overlayOf(path).includes(","))) refuseComma();
  return volumes.flatMap(({ path, type }, i) =>
    // no file can stand beside a device
    type === "file"
      ? [
          "--diskspec",
          `${byVolume[i]?.target},snapshot=external,file=${doubleCommas(overlayOf(path))}`,
        ]
      : [],
  );
}

/** In a list of options virsh reads two commas as one. */
const doubleCommas = (path: string) => path.replaceAll(",", ",,");

/** libvirt 9.0 makes the overlay under a name with two commas, and the domain cannot start. */
function refuseComma(): never {
  const text =
    "disk_only: libvirt cannot make overlays with a comma in their path while the domain is off; start it or choose another snapshot_name";
  throw new HyperError("unsupported", text);
}
