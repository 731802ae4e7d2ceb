/** A VMDK descriptor of ESXi: a text beside a file that holds the raw disk. */
import type { Context } from "../../hypervisor/context.ts";
import { refusedImage } from "../storage/import-file.ts";
import { plainName } from "./appliance.ts";
import { inFile } from "./foreign-file.ts";

const MAX_DESCRIPTOR_BYTES = 64 * 1024;
const MAGIC = /^# Disk DescriptorFile/;

export interface FlatExtent {
  name: string;
  bytes: number;
}

/** Undefined for a VMDK of another kind. Throws `ApplianceProblem`'s refusal for a descriptor of several files. */
export async function flatExtent(
  { exec }: Context,
  path: string,
  label: string,
): Promise<FlatExtent | undefined> {
  const result = await exec(["head", "-c", `${MAX_DESCRIPTOR_BYTES}`, "--", path]);
  if (result.exitCode !== 0 || !MAGIC.test(result.stdout)) return undefined;
  return inFile(label, () => parseDescriptor(result.stdout, label));
}

/** https://www.vmware.com/app/vmdk/?src=vmdk: `RW 4192256 VMFS "web-flat.vmdk"`. */
export function parseDescriptor(text: string, label: string): FlatExtent {
  const parent = text.match(/^\s*parentCID\s*=\s*([0-9a-f]+)/im)?.[1];
  if (parent !== undefined && !/^f{8}$/i.test(parent))
    throw refusedImage(
      label,
      "is the VMDK of a snapshot, which stands on another; consolidate it first",
    );
  const extents = [
    ...text.matchAll(/^\s*(RW|RDONLY|NOACCESS)\s+(\d{1,15})\s+(\w+)(?:\s+"([^"]*)")?/gm),
  ];
  const [extent, another] = extents;
  const [, access, sectors, kind, file = ""] = extent ?? [];
  const isFlat = kind === "VMFS" || kind === "FLAT";
  if (!extent || another || access !== "RW" || !isFlat) {
    const why = "is a VMDK descriptor of more than one flat file";
    throw refusedImage(
      label,
      `${why}; make one file of it first (vmware-vdiskmanager -r … -t 0, or qemu-img convert)`,
    );
  }
  return { name: plainName(file), bytes: Number(sectors) * 512 };
}
