/** OVF, the description in an OVA: DMTF's DSP0243, as VMware and VirtualBox write it. */
import { type Appliance, type ApplianceDisk, ApplianceProblem, plainName } from "./appliance.ts";
import {
  readDiskIds,
  readFirmware,
  readItems,
  readMemory,
  readNetworks,
  readVcpus,
  unitOf,
} from "./ovf-hardware.ts";
import { type Node, nodesAt, parseEnvelope, textAt } from "./ovf-xml.ts";

/** Throws `ApplianceProblem`. */
export function parseOvf(bytes: Buffer): Appliance {
  const envelope = parseEnvelope(bytes);
  const system = onlySystem(envelope);
  const files = readFiles(envelope);
  const items = readItems(envelope, system);
  const [os] = nodesAt(system, "OperatingSystemSection");
  const guest = [os?.attributes.get("osType"), textAt(os, "OSType"), textAt(os, "Description")];
  return {
    name: textAt(system, "Name") ?? system.attributes.get("id"),
    memory: readMemory(items),
    vcpus: readVcpus(items),
    firmware: readFirmware(system),
    guest: guest.filter(Boolean).join(" ") || undefined,
    disks: readDisks(envelope, items, files),
    networks: readNetworks(items),
    sizes: new Map(
      [...files.values()].flatMap(({ name, size }) => (size === undefined ? [] : [[name, size]])),
    ),
  };
}

function onlySystem(envelope: Node): Node {
  const systems = [
    ...nodesAt(envelope, "VirtualSystem"),
    ...nodesAt(envelope, "VirtualSystemCollection", "VirtualSystem"),
  ];
  const [system, another] = systems;
  if (!system) throw new ApplianceProblem("describes no virtual machine");
  if (!another) return system;
  const names = systems.map(({ attributes }) => attributes.get("id") ?? "?").join(", ");
  throw new ApplianceProblem(`describes several virtual machines (${names}); export one at a time`);
}

interface File {
  name: string;
  size: number | undefined;
}

/** The files by their IDs. */
function readFiles(envelope: Node): Map<string, File> {
  const files = nodesAt(envelope, "References", "File").map(({ attributes }): [string, File] => {
    const name = plainName(attributes.get("href") ?? "");
    const size = attributes.get("size");
    const compression = attributes.get("compression");
    if (compression && compression !== "identity")
      throw new ApplianceProblem(`has ${name} compressed with ${compression}; export it without`);
    if (attributes.has("chunkSize"))
      throw new ApplianceProblem(`has ${name} in chunks; export it in one piece`);
    return [
      attributes.get("id") ?? "",
      { name, size: /^\d{1,15}$/.test(size ?? "") ? Number(size) : undefined },
    ];
  });
  return new Map(files);
}

/** In the guest's order; those that no hardware names are none of the guest's. */
function readDisks(envelope: Node, items: Node[], files: Map<string, File>): ApplianceDisk[] {
  const disks = new Map(
    nodesAt(envelope, "DiskSection", "Disk").map(({ attributes }) => [
      attributes.get("diskId"),
      attributes,
    ]),
  );
  return readDiskIds(items).map((id) => {
    const disk = disks.get(id);
    if (!disk)
      throw new ApplianceProblem(`has a disk ${JSON.stringify(id)} that it does not describe`);
    if (disk.get("parentRef"))
      throw new ApplianceProblem(
        `has disk ${id} on the parent ${disk.get("parentRef")}; export it without snapshots`,
      );
    const capacity = capacityOf(disk.get("capacity"), disk.get("capacityAllocationUnits"));
    const reference = disk.get("fileRef");
    const file = reference === undefined ? undefined : files.get(reference);
    if (reference !== undefined && !file)
      throw new ApplianceProblem(
        `has disk ${id} in the file ${JSON.stringify(reference)}, which it does not list`,
      );
    if (!file && capacity === undefined)
      throw new ApplianceProblem(`has disk ${id} with neither a file nor a capacity`);
    return { file: file?.name, capacity };
  });
}

/** In bytes; a capacity that is a variable of the environment is unknown. */
function capacityOf(text: string | undefined, units = "byte"): number | undefined {
  if (!text || !/^\d{1,15}$/.test(text)) return undefined;
  const bytes = Number(text) * unitOf(units);
  return bytes > 0 && bytes <= Number.MAX_SAFE_INTEGER ? bytes : undefined;
}
