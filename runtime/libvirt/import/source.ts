/** What a virtual machine of another system comes in: an OVA, an OVF or a VMX beside its disks, or a bare image. */
import { posix } from "node:path";
import type { Context } from "../../hypervisor/context.ts";
import { pathExists } from "../program.ts";
import { refusedImage } from "../storage/import-file.ts";
import type { Appliance } from "./appliance.ts";
import { isTar, readMembers } from "./archive.ts";
import { withRealNames } from "./file-names.ts";
import { type ForeignFile, inFile, openForeign, readPiece, readSmall } from "./foreign-file.ts";
import { type Digest, MAX_MANIFEST_BYTES, parseManifest } from "./manifest.ts";
import { parseOvf } from "./ovf.ts";
import { MAX_OVF_BYTES } from "./ovf-xml.ts";
import type { Member } from "./tar.ts";
import { MAX_VMX_BYTES, parseVmx } from "./vmx.ts";

export interface Source {
  kind: "ova" | "ovf" | "vmx" | "image";
  file: ForeignFile;
  /** The name of the field that the file is in. */
  field: string;
  appliance: Appliance;
  /** Of an OVA. */
  members: Member[];
  /** By the names of the files; undefined where there is no manifest. */
  digests: Map<string, Digest> | undefined;
  /** The description, as the manifest has to have it. */
  description: { name: string; digestible: Member | ForeignFile } | undefined;
}

/** Reads and judges the description; the images are not looked at yet. */
export async function readSource(ctx: Context, field: string, path: string): Promise<Source> {
  const file = await openForeign(ctx, field, path);
  if (isTar(file)) return readOva(ctx, field, file);
  if (/\.ovf$/i.test(file.path)) return readOvf(ctx, field, file);
  if (/\.vmx$/i.test(file.path)) {
    const bytes = await readSmall(ctx, file, MAX_VMX_BYTES);
    const appliance = inFile(file.label, () => parseVmx(bytes));
    return { ...none, kind: "vmx", file, field, appliance };
  }
  return { ...none, kind: "image", file, field, appliance: bare(file.path) };
}

const none = { members: [], digests: undefined, description: undefined };

/** Of an image alone nothing is known but its name. */
function bare(path: string): Appliance {
  const file = posix.basename(path);
  const name = file.replace(/\.[A-Za-z0-9]{1,6}$/, "");
  const unknown = { memory: undefined, vcpus: undefined, firmware: undefined, guest: undefined };
  return {
    name,
    ...unknown,
    disks: [{ file, capacity: undefined }],
    networks: [],
    sizes: new Map(),
  };
}

async function readOva(ctx: Context, field: string, file: ForeignFile): Promise<Source> {
  const { label } = file;
  const members = await readMembers(ctx, file);
  const ofKind = (ending: RegExp) => members.filter(({ name }) => ending.test(name));
  const [ovf, another] = ofKind(/\.ovf$/i);
  if (!ovf) throw refusedImage(label, "is a tar archive without an OVF, so it is no OVA");
  if (another) throw refusedImage(label, `has several OVFs in it: ${ovf.name}, ${another.name}`);
  const read = async (member: Member, most: number) => {
    if (member.size > most)
      throw refusedImage(label, `has ${member.name} in it with more than ${most} bytes`);
    return readPiece(ctx, file, member.offset, member.size);
  };
  const bytes = await read(ovf, MAX_OVF_BYTES);
  const described = inFile(`${label}, in ${ovf.name},`, () => parseOvf(bytes));
  const [manifest] = ofKind(/\.mf$/i);
  const list = manifest && (await read(manifest, MAX_MANIFEST_BYTES));
  const listed = list && inFile(`${label}, in ${manifest.name},`, () => parseManifest(list));
  const { appliance, digests } = await withRealNames(
    { appliance: described, digests: listed },
    (name) => members.some((one) => one.name === name),
  );
  for (const [name, size] of appliance.sizes) {
    const member = members.find((one) => one.name === name);
    if (member && member.size !== size) {
      const why = `says in its OVF that ${name} has ${size} bytes, and has ${member.size} of it`;
      throw refusedImage(label, why);
    }
  }
  const lost = appliance.disks.find(
    ({ file: disk }) => disk && !members.some(({ name }) => name === disk),
  );
  if (lost) throw refusedImage(label, `describes a disk in ${lost.file}, which is not in it`);
  const description = { name: ovf.name, digestible: ovf };
  return { kind: "ova", file, field, appliance, members, digests, description };
}

/** Its manifest lies beside it. */
async function readOvf(ctx: Context, field: string, file: ForeignFile): Promise<Source> {
  const bytes = await readSmall(ctx, file, MAX_OVF_BYTES);
  const described = inFile(file.label, () => parseOvf(bytes));
  const path = file.path.replace(/\.ovf$/i, ".mf");
  const isThere = await pathExists(ctx, path); // one that cannot be seen is not passed over
  const manifest = isThere ? await openForeign(ctx, field, path) : undefined;
  const list = manifest && (await readSmall(ctx, manifest, MAX_MANIFEST_BYTES));
  const listed = list && inFile(manifest.label, () => parseManifest(list));
  const { appliance, digests } = await withRealNames(
    { appliance: described, digests: listed },
    (name) => pathExists(ctx, posix.join(posix.dirname(file.path), name)),
  );
  const description = { name: posix.basename(file.path), digestible: file };
  return { ...none, kind: "ovf", file, field, appliance, digests, description };
}
