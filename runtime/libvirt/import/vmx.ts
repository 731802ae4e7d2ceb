/** VMX, the description of a VMware virtual machine: lines such as `scsi0:0.fileName = "disk.vmdk"`. */
import { type Appliance, ApplianceProblem, plainName } from "./appliance.ts";
import { macOf } from "./ovf-hardware.ts";

export const MAX_VMX_BYTES = 1024 * 1024;

/** The keys in lower case: VMware writes `fileName` and `filename`. `|22` is a quotation mark. */
export function readPairs(text: string): Map<string, string> {
  const pairs = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const [, key, value] = line.match(/^\s*([\w.:-]+)\s*=\s*"([^"]*)"\s*$/) ?? [];
    if (key === undefined || value === undefined) continue;
    const plain = value.replace(/\|([0-9A-Fa-f]{2})/g, (_, hex) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
    pairs.set(key.toLowerCase(), plain);
  }
  return pairs;
}

const BUSES = ["ide", "scsi", "sata", "nvme"];
/** VMware boots from a disk on SCSI before one on SATA or NVMe, and counts IDE first. */
const orderOf = (bus: string) => BUSES.indexOf(bus);

/** Throws `ApplianceProblem`. */
export function parseVmx(bytes: Buffer): Appliance {
  const pairs = readPairs(bytes.toString("utf8"));
  const isOn = (key: string) => /^true$/i.test(pairs.get(key) ?? "");
  if (!pairs.has("config.version") && !pairs.has("virtualhw.version"))
    throw new ApplianceProblem("is no VMX: it has no config.version");
  const isEfi = pairs.get("firmware")?.toLowerCase() === "efi";
  const secure = isEfi && isOn("uefi.secureboot.enabled");
  return {
    name: pairs.get("displayname"),
    memory: numberOf(pairs, "memsize"),
    vcpus: numberOf(pairs, "numvcpus") ?? 1,
    firmware: secure ? "uefi-secure" : isEfi ? "uefi" : "bios",
    guest: pairs.get("guestos"),
    disks: readDisks(pairs, isOn),
    networks: readNetworks(pairs, isOn),
    sizes: new Map(),
  };
}

function numberOf(pairs: Map<string, string>, key: string): number | undefined {
  const text = pairs.get(key);
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new ApplianceProblem(`has ${JSON.stringify(text)} for ${key}`);
}

function readDisks(pairs: Map<string, string>, isOn: (key: string) => boolean): Appliance["disks"] {
  const places = [...pairs.keys()].flatMap((key) => {
    const [, bus, controller, unit] =
      key.match(/^(ide|scsi|sata|nvme)(\d+):(\d+)\.filename$/) ?? [];
    if (bus === undefined || !isOn(`${bus}${controller}:${unit}.present`)) return [];
    const device = `${bus}${controller}:${unit}`;
    const kind = pairs.get(`${device}.devicetype`) ?? "disk";
    if (/cdrom|atapi/i.test(kind)) return [];
    return [{ bus, controller: Number(controller), unit: Number(unit), file: `${pairs.get(key)}` }];
  });
  const sorted = places.sort(
    (a, b) => orderOf(a.bus) - orderOf(b.bus) || a.controller - b.controller || a.unit - b.unit,
  );
  return sorted.map(({ file }) => ({ file: plainName(file), capacity: undefined }));
}

function readNetworks(
  pairs: Map<string, string>,
  isOn: (key: string) => boolean,
): Appliance["networks"] {
  const cards = [...pairs.keys()].flatMap(
    (key) => key.match(/^ethernet(\d+)\.present$/)?.[1] ?? [],
  );
  return cards
    .filter((card) => isOn(`ethernet${card}.present`))
    .sort((a, b) => Number(a) - Number(b))
    .map((card) => {
      const of = (key: string) => pairs.get(`ethernet${card}.${key}`) || undefined;
      const network = of("networkname") ?? of("vnet") ?? of("connectiontype") ?? "bridged";
      return { network, mac: macOf(of("address") ?? of("generatedaddress")) };
    });
}
