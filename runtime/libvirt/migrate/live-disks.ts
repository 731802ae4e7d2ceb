/** Empty images at the target, into which a running guest's disks are mirrored while its memory flows. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import type { Journal } from "../journal.ts";
import { createImage } from "../storage/qemu-img.ts";
import { type NewVolume, readVolume, volumeXml } from "../storage/volume.ts";
import { volumeLike } from "../storage/volume-model.ts";
import { arriving } from "./arriving.ts";
import type { DiskCopy, DiskPlan } from "./disks.ts";
import type { Sides } from "./sides.ts";

/** Resolves to the paths that they have there, by the disks' targets. */
export async function makeImages(sides: Sides, journal: Journal, { copies }: DiskPlan) {
  const paths = new Map<string, string>();
  for (const copy of copies) {
    const { pool } = copy;
    const path = pool
      ? await makeVolume(sides, journal, { ...copy, pool })
      : await makeFile(sides, journal, copy);
    paths.set(copy.target, path);
  }
  return paths;
}

async function makeVolume(
  sides: Sides,
  journal: Journal,
  copy: DiskCopy & { pool: string },
): Promise<string> {
  const { target } = sides;
  const { pool, name } = copy;
  const definition = await definitionOf(sides, copy);
  await journal.track(arriving(sides, { kind: "volume", pool, name }), () =>
    target.virsh(["vol-create", "--pool", pool, "--file", definition]),
  );
  return (await readVolume(target, pool, name)).path;
}

/** Like the source's, or an overlay on the same image; a file that no pool has is known by format and size alone. */
async function definitionOf({ source, route }: Sides, { image, name, backing }: DiskCopy) {
  const { volume, size, format } = image;
  if (backing && route.copy_storage === "incremental")
    return volumeXml({ name, capacity: size, format: "qcow2", backing });
  if (!volume) return volumeXml({ name, capacity: size, format } satisfies NewVolume);
  const words = ["--pool", volume.pool, "--vol", volume.name];
  return volumeLike(await source.virsh(["vol-dumpxml", ...words]), name);
}

async function makeFile(sides: Sides, journal: Journal, { path, image, backing }: DiskCopy) {
  const { target, route } = sides;
  const file = `${path}`;
  const base = route.copy_storage === "incremental" ? backing : undefined;
  await journal.track(arriving(sides, { kind: "file", path: file }), async () => {
    await claim(target, file);
    const result = await createImage(target.exec, file, image, base);
    if (result.exitCode !== 0) throw programError("qemu-img create", result);
  });
  return file;
}

/** As dash and BusyBox say it, and as bash does. */
const EXISTS = /(: File exists|: cannot overwrite existing file)\s*$/;

/** An empty file that nobody else has made. */
async function claim({ exec, host }: Context, path: string) {
  const result = await exec(["sh", "-c", 'umask 077; set -C; : >"$1"', "sh", path]);
  if (result.exitCode === 0) return;
  if (EXISTS.test(result.stderr))
    throw new HyperError("already_exists", `${path} exists already on ${host}`);
  throw programError(`making ${path}`, result);
}
