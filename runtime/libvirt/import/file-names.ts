/** The files of a description by the names that they really have: some write these as in a URL, others as they are. */
import { type Appliance, ApplianceProblem, plainName } from "./appliance.ts";
import type { Digest } from "./manifest.ts";

interface Described {
  appliance: Appliance;
  digests: Map<string, Digest> | undefined;
}

/** A name as it is written is the first; none of them leads elsewhere. */
function spellings(name: string): string[] {
  try {
    return [...new Set([name, plainName(decodeURIComponent(name))])];
  } catch (error) {
    if (error instanceof URIError || error instanceof ApplianceProblem) return [name];
    throw error;
  }
}

/** `isThere`: whether the archive, or the folder, has a file of that name. */
export async function withRealNames(
  { appliance, digests }: Described,
  isThere: (name: string) => boolean | Promise<boolean>,
): Promise<Described> {
  const known = new Map<string, string>();
  const real = async (name: string) => {
    for (const one of spellings(name))
      if (!known.has(name) && (await isThere(one))) known.set(name, one);
    return known.get(name) ?? name;
  };
  const disks: Appliance["disks"] = [];
  for (const disk of appliance.disks)
    disks.push({ ...disk, file: disk.file && (await real(disk.file)) });
  const sizes = new Map<string, number>();
  for (const [name, size] of appliance.sizes) sizes.set(await real(name), size);
  const written = appliance.disks.flatMap(({ file }) => file ?? []);
  const renamed = digests && (await renamedDigests(digests, written, real));
  return { appliance: { ...appliance, disks, sizes }, digests: renamed };
}

/** The manifest may write a disk's name in another way than the description does. */
async function renamedDigests(
  digests: Map<string, Digest>,
  disks: string[],
  real: (name: string) => Promise<string>,
) {
  const rest = new Map(digests);
  const renamed = new Map<string, Digest>();
  for (const disk of disks) {
    const written = spellings(disk).find((name) => digests.has(name));
    if (written === undefined) continue;
    rest.delete(written);
    renamed.set(await real(disk), digests.get(written) as Digest);
  }
  for (const [name, digest] of rest) {
    const file = await real(name);
    if (!renamed.has(file)) renamed.set(file, digest);
  }
  return renamed;
}
