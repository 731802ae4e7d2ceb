/** A virtual machine of another system, as its description says. */

export interface ApplianceDisk {
  /** The file of the image, as the description names it; undefined for a disk that is empty. */
  file: string | undefined;
  /** In bytes, as the guest sees it; undefined where only the image tells. */
  capacity: number | undefined;
}

export interface ApplianceNetwork {
  /** The name of the network over there, such as "VM Network". */
  network: string;
  mac: string | undefined;
}

export interface Appliance {
  name: string | undefined;
  /** MiB. */
  memory: number | undefined;
  vcpus: number | undefined;
  firmware: "bios" | "uefi" | "uefi-secure" | undefined;
  /** The words of the description for the guest's system, such as "windows9_64Guest". */
  guest: string | undefined;
  /** In the guest's order. */
  disks: ApplianceDisk[];
  networks: ApplianceNetwork[];
  /** The sizes of files in bytes, as far as the description has them. */
  sizes: Map<string, number>;
}

/** Why a description cannot be taken; whoever reads the file puts its name before. */
export class ApplianceProblem extends Error {}

/** A guest that brings no virtio drivers by itself. */
export const isWindows = (words: string | undefined) => /\bwin|windows|longhorn/i.test(words ?? "");

/** A file beside the description, or in the same archive: a name alone, which leads nowhere else. */
export function plainName(href: string): string {
  const name = href.replace(/^\.\//, "");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a name with such is none of a disk
  if (name !== "" && name !== "." && name !== ".." && !/[/\\\x00-\x1f\x7f]/.test(name)) return name;
  throw new ApplianceProblem(`names the file ${JSON.stringify(href)}, which lies elsewhere`);
}
