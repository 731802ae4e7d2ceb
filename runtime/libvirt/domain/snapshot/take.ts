/** Taking a snapshot of a domain. */
import { HyperError } from "../../../core/errors.ts";
import type { Context } from "../../../hypervisor/context.ts";
import { readAnswering } from "../../definitions.ts";
import { readDisks } from "../../disk.ts";
import { IMAGE_TIMEOUT_MS, readVolume } from "../../storage/volume.ts";
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
  await ctx.virsh.oneShot(command, { timeout: IMAGE_TIMEOUT_MS }).catch(explainJobName);
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
