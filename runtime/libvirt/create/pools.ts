/** The pools in which the disks of a new domain are: whether they can have them, and the space that is left. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { freeBytes, OF_FILES } from "../storage/fits.ts";
import { keyValues } from "../virsh-output.ts";
import { attribute, children, parseXml, textOf } from "../xml.ts";
import { inField } from "./field.ts";

export interface DiskPool {
  name: string;
  type: string;
  /** Its volumes are files or devices in this folder. */
  folder: string;
  /** Its volumes are files, which take space as they are written to. */
  isFolder: boolean;
  available: number;
}

/** Volumes of others are neither files nor devices of the hypervisor. */
const WITH_PATHS = /^(dir|fs|netfs|vstorage|logical|disk|zfs|iscsi|scsi|mpath)$/;

/** Throws `not_found`, `not_active` or `unsupported`, naming the field. */
export async function readDiskPool(ctx: Context, field: string, ref: string): Promise<DiskPool> {
  const [info = "", definition = ""] = await inField(field, () =>
    ctx.virsh.all([
      ["pool-info", "--pool", ref, "--bytes"],
      ["pool-dumpxml", "--pool", ref],
    ]),
  );
  const { State, Available } = keyValues(info);
  const pool = parseXml(definition, "pool");
  const name = textOf(pool, "name") ?? ref; // the caller may have given its UUID
  const type = `${pool["@type"]}`;
  const folder = textOf(pool, "target", "path") ?? "";
  if (State !== "running")
    throw new HyperError("not_active", `${field}: pool ${name} is not active; start it first`);
  if (!WITH_PATHS.test(type) || !folder) {
    const text = `${field}: volumes of pool ${name}, of type ${type}, are neither files nor devices`;
    throw new HyperError("unsupported", text);
  }
  return { name, type, folder, isFolder: OF_FILES.test(type), available: Number(Available) };
}

/** The formats that a pool of this type can make; an empty list where libvirt knows none. */
export async function readFormats({ virsh }: Context, type: string): Promise<string[]> {
  const capabilities = parseXml(await virsh(["pool-capabilities"]), "storagepoolCapabilities");
  const pool = children(capabilities, "pool").find((one) => one["@type"] === type);
  return children(pool, "volOptions", "enum")
    .filter((one) => attribute({ one: [one] }, "name", "one") === "targetFormatType")
    .flatMap((one) => children(one, "value").map((value) => `${value["#text"]}`));
}

/** Throws `already_exists` if a pool has a volume of the name that a new one is to get. */
export async function assertNoVolume(ctx: Context, field: string, pool: string, name: string) {
  const [path] = await ctx.virsh.settled([["vol-path", "--pool", pool, "--vol", name]]);
  if (path instanceof HyperError && path.code !== "not_found") throw path;
  if (typeof path !== "string") return;
  const text = `${field}: volume ${name} of pool ${pool} exists already`;
  throw new HyperError("already_exists", text);
}

/** What a pool has now, as far as its file system tells. */
const availableIn = async (ctx: Context, { isFolder, folder, available }: DiskPool) =>
  (isFolder ? await freeBytes(ctx, folder) : undefined) ?? available;

export interface Need {
  field: string;
  pool: DiskPool;
  bytes: number;
}

const inMebibytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;

/** Throws `no_space`, before anything is made, where a pool has less than its new volumes take at once. */
export async function assertSpace(ctx: Context, needs: Need[]) {
  for (const name of new Set(needs.map(({ pool }) => pool.name))) {
    const own = needs.filter(({ pool }) => pool.name === name);
    const needed = own.reduce((sum, { bytes }) => sum + bytes, 0);
    const [first] = own;
    if (!first || needed === 0) continue;
    const available = await availableIn(ctx, first.pool);
    if (needed <= available) continue;
    const fields = own.map(({ field }) => field).join(" and ");
    const text = `${fields}: pool ${name} has ${inMebibytes(available)} left, and ${inMebibytes(needed)} are needed`;
    throw new HyperError("no_space", text);
  }
}
