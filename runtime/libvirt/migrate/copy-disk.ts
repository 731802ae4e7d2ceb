/** Brings the bytes of a disk to the other hypervisor through this server, as they are. */
import { randomUUID } from "node:crypto";
import { posix } from "node:path";
import type { BytesIn } from "../../core/bytes.ts";
import { HyperError } from "../../core/errors.ts";
import type { Progress } from "../../core/progress.ts";
import type { Context } from "../../hypervisor/context.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import type { Journal } from "../journal.ts";
import { runProgram } from "../program.ts";
import { removeResource } from "../resource.ts";
import { inCopyPlace } from "../storage/copy-place.ts";
import { uploadVolume } from "../storage/fill-volume.ts";
import { moveInto } from "../storage/import-volume.ts";
import { receiveBytes } from "../storage/receive.ts";
import { stagingFor } from "../storage/staging.ts";
import { readVolume, volumeXml } from "../storage/volume.ts";
import { assertQuiet, fileBytes, volumeBytes } from "../storage/volume-bytes.ts";
import { arriving } from "./arriving.ts";
import type { DiskCopy } from "./disks.ts";
import type { Sides } from "./sides.ts";

/** Resolves to the path that the copy has there. */
export async function copyDisk(
  sides: Sides,
  journal: Journal,
  copy: DiskCopy,
  progress: Progress,
): Promise<string> {
  const { source, target: ctx } = sides;
  const { target, image, pool } = copy;
  const { volume, path } = image;
  const bytes = volume
    ? await volumeBytes(source, volume.pool, volume.name, { isLookedAt: true })
    : await quietFile(source, path, `disk ${target}`);
  const phase = `copying disk ${target}`;
  progress({ phase: `waiting to copy disk ${target}`, percent: 0 });
  return inCopyPlace(ctx, async () => {
    source.log.info(`Disk ${target}, ${bytes.size} bytes, is copied from ${path}.`);
    const stream = await bytes.stream();
    const body: BytesIn = { size: bytes.size, stream: () => stream };
    const how = { field: `disk ${target}`, phase, progress };
    if (pool) return intoPool(sides, journal, { ...copy, pool }, body, how);
    const place = `${copy.path}`;
    await intoFile(sides, journal, { from: path, place }, body, how);
    return place;
  });
}

/** Of a file or a device that no pool has. */
async function quietFile(ctx: Context, path: string, field: string) {
  await assertQuiet(ctx, { path, pool: undefined, name: path }, field);
  return fileBytes(ctx, path, await sizeOf(ctx, path));
}

interface How {
  field: string;
  phase: string;
  progress: Progress;
}

async function intoPool(
  sides: Sides,
  journal: Journal,
  { pool, name, target: disk }: DiskCopy & { pool: string },
  body: BytesIn,
  how: How,
): Promise<string> {
  const { target: ctx } = sides;
  const { size = 0 } = body;
  const staging = await stagingFor(ctx, pool, name, how.field);
  const file = await receiveBytes(ctx, journal, body, { ...staging, ...how });
  const definition = volumeXml({ name, capacity: size, format: null });
  await journal.track(arriving(sides, { kind: "volume", pool, name }), () =>
    ctx.virsh(["vol-create", "--pool", pool, "--file", definition]),
  );
  const made = await readVolume(ctx, pool, name);
  const isMoved = made.type === "file" && (await moveInto(ctx, file, made.path));
  if (isMoved)
    await ctx.virsh.settled([["pool-refresh", "--pool", pool]]); // one at work refuses it
  else {
    await uploadVolume(ctx, made, file, how.progress);
    await removeResource(ctx, { kind: "folder", path: posix.dirname(file) });
  }
  const there = made.type === "file" ? await sizeOf(ctx, made.path) : made.capacity_bytes;
  if (there === size || (made.type !== "file" && there > size)) return made.path;
  throw incomplete(disk, ctx, there, size);
}

/** A link is made in the place of no other file, by which nothing is overwritten. */
const PLACE = `chown -- "$3" "$1" && chmod -- "$4" "$1" && ln -- "$1" "$2" && rm -r -- "\${1%/*}"`;

/** Makes a file of the same owner and mode, by their names, in a folder that exists. */
export async function intoFile(
  sides: Sides,
  journal: Journal,
  { from, place }: { from: string; place: string },
  body: BytesIn,
  how: How,
) {
  const { source, target: ctx } = sides;
  const { size = 0 } = body;
  const asked = await runProgram(source, ["stat", "-Lc", "%U:%G %a", "--", from]);
  const [owner = "", mode = ""] = asked.stdout.trim().split(" ");
  const parent = posix.dirname(place);
  const folder = `${parent}/.hypersdk-${randomUUID()}`;
  const file = await receiveBytes(ctx, journal, body, { parent, folder, free: undefined, ...how });
  await journal.track(arriving(sides, { kind: "file", path: place }), async () => {
    const result = await ctx.exec(["sh", "-c", PLACE, "sh", file, place, owner, mode]);
    if (/File exists/.test(result.stderr))
      throw new HyperError("already_exists", `${place} exists already on ${ctx.host}`);
    if (result.exitCode !== 0) throw programError(`making ${place}`, result);
  });
  const there = await sizeOf(ctx, place);
  if (there !== size) throw incomplete(how.field, ctx, there, size);
}

/** In bytes, of a file or a block device. */
export async function sizeOf(ctx: Context, path: string): Promise<number> {
  const script = 'if [ -b "$1" ]; then blockdev --getsize64 "$1"; else stat -Lc %s -- "$1"; fi';
  const { stdout } = await runProgram(ctx, ["sh", "-c", script, "sh", path], {}, "stat");
  return Number(stdout.trim());
}

const incomplete = (what: string, { host }: Context, there: number, size: number) =>
  new HyperError("command_failed", `${what}: ${host} has ${there} bytes of ${size}`);
