/** The buses of a new domain's disks, and their names there, such as `vda`. */
import { HyperError } from "../../core/errors.ts";
import type { Capabilities } from "./capabilities.ts";
import type { Hardware } from "./definition.ts";
import type { DiskWish } from "./wish.ts";

const PREFIX: Record<string, string> = { virtio: "vd", ide: "hd" };

/** The 27th disk of a prefix is `vdaa`, as Linux counts. */
export function targetName(prefix: string, index: number): string {
  const letter = String.fromCharCode(97 + (index % 26));
  return index < 26 ? prefix + letter : targetName(prefix, Math.floor(index / 26) - 1) + letter;
}

/** Gives out names, one after the other. SCSI, SATA and USB share theirs. */
export function targetNames(): (bus: string) => string {
  const taken = new Map<string, number>();
  return (bus) => {
    const prefix = PREFIX[bus] ?? "sd";
    const index = taken.get(prefix) ?? 0;
    taken.set(prefix, index + 1);
    return targetName(prefix, index);
  };
}

/** The bus of a disk. Throws `unsupported` for one that the machine does not have. */
export function busOf(
  { bus }: DiskWish,
  field: string,
  { system }: Hardware,
  { buses, canonicalMachine }: Capabilities,
): string {
  const chosen = bus ?? (system?.isWindows && buses.includes("sata") ? "sata" : "virtio");
  if (buses.includes(chosen)) return chosen;
  const text = `${field}.bus: machine ${canonicalMachine} has no ${chosen}; there are ${buses.filter((one) => one !== "fdc").join(", ")}`;
  throw new HyperError("unsupported", text);
}

/** The bus of a CD-ROM, for which no guest needs a driver where there is another than SCSI. */
export function cdromBus({ isQ35, arch }: Hardware): string {
  if (isQ35) return "sata";
  return /^(x86_64|i686)$/.test(arch) ? "ide" : "scsi";
}
