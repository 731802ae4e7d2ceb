/** The virtual hardware of an OVF. Numbers of resource types: CIM_ResourceAllocationSettingData, DMTF's DSP1041. */
import { type Appliance, ApplianceProblem } from "./appliance.ts";
import { type Node, nodesAt, textAt } from "./ovf-xml.ts";

const TYPES = { cpu: "3", memory: "4", ethernet: "10", disk: "17" };
const CONTROLLERS = ["5", "6", "20"];

/** The items of the configuration that is chosen unless another one is asked for. */
export function readItems(envelope: Node, system: Node): Node[] {
  const configurations = nodesAt(envelope, "DeploymentOptionSection", "Configuration");
  const chosen =
    configurations.find(({ attributes }) => attributes.get("default") === "true") ??
    configurations[0];
  const id = chosen?.attributes.get("id");
  const sections = nodesAt(system, "VirtualHardwareSection");
  const items = ["Item", "StorageItem", "EthernetPortItem"].flatMap((name) =>
    sections.flatMap((section) => nodesAt(section, name)),
  );
  const own = items.filter((item) => configurationsOf(item).includes(`${id}`));
  const replaced = new Set(own.map((item) => textAt(item, "InstanceID")));
  const common = items.filter(
    (item) => configurationsOf(item).length === 0 && !replaced.has(textAt(item, "InstanceID")),
  );
  return [...common, ...own];
}

const configurationsOf = ({ attributes }: Node) =>
  (attributes.get("configuration") ?? "").split(/\s+/).filter(Boolean);

const ofType = (items: Node[], type: string) =>
  items.filter((item) => textAt(item, "ResourceType") === type);

function quantity(item: Node | undefined): number | undefined {
  const text = textAt(item, "VirtualQuantity");
  if (text === undefined) return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new ApplianceProblem(`has ${JSON.stringify(text)} for a number`);
}

export const readVcpus = (items: Node[]) => quantity(ofType(items, TYPES.cpu)[0]);

/** MiB. */
export function readMemory(items: Node[]): number | undefined {
  const [item] = ofType(items, TYPES.memory);
  const count = quantity(item);
  if (count === undefined) return undefined;
  return Math.ceil((count * unitOf(textAt(item, "AllocationUnits"))) / 2 ** 20);
}

const WORDS: Record<string, number> = { kilo: 2 ** 10, mega: 2 ** 20, giga: 2 ** 30 };

/** `byte * 2^20`, `MegaBytes`, `GB`; memory without a unit is in MiB. */
export function unitOf(text = "byte * 2^20"): number {
  const [, base = "", power = ""] =
    text.match(/^\s*bytes?\s*\*\s*(2|10)\s*\^\s*(\d{1,2})\s*$/i) ?? [];
  if (base) return Number(base) ** Number(power);
  if (/^\s*bytes?\s*$/i.test(text)) return 1;
  const word = text.trim().toLowerCase();
  const found = Object.keys(WORDS).find((name) =>
    new RegExp(`^(${name}(byte)?s?|${name[0]}i?b)$`).test(word),
  );
  if (found) return WORDS[found] ?? 1;
  throw new ApplianceProblem(`has a unit that is not known: ${JSON.stringify(text)}`);
}

/** The IDs of the disks, in the order of their controllers and of their places there. */
export function readDiskIds(items: Node[]): string[] {
  const controllers = items
    .filter((item) => CONTROLLERS.includes(textAt(item, "ResourceType") ?? ""))
    .map((item) => textAt(item, "InstanceID"));
  const disks = ofType(items, TYPES.disk).flatMap((item) => {
    const [, id] = textAt(item, "HostResource")?.match(/^(?:ovf:)?\/?disk\/(.+)$/) ?? [];
    if (id === undefined) return []; // of the host over there
    const place = Number(textAt(item, "AddressOnParent") ?? 0);
    return [{ id, controller: controllers.indexOf(textAt(item, "Parent")), place }];
  });
  return disks
    .sort((a, b) => a.controller - b.controller || (a.place || 0) - (b.place || 0))
    .map(({ id }) => id);
}

export function readNetworks(items: Node[]): Appliance["networks"] {
  return ofType(items, TYPES.ethernet).map((item) => ({
    network: textAt(item, "Connection") ?? "",
    mac: macOf(textAt(item, "Address")),
  }));
}

/** VirtualBox writes it without colons. */
export function macOf(text = ""): string | undefined {
  const digits = text.replace(/[:-]/g, "").toLowerCase();
  return /^[0-9a-f]{12}$/.test(digits) ? digits.match(/../g)?.join(":") : undefined;
}

/** VMware has it in its own `<Config>`, VirtualBox in its own machine. */
export function readFirmware(system: Node): Appliance["firmware"] {
  const config = new Map(
    nodesAt(system, "VirtualHardwareSection", "Config").map(({ attributes }) => [
      attributes.get("key")?.toLowerCase(),
      attributes.get("value")?.toLowerCase(),
    ]),
  );
  const [box] = nodesAt(system, "Machine", "Hardware", "Firmware");
  const words = config.get("firmware") ?? box?.attributes.get("type")?.toLowerCase();
  if (words === undefined) return undefined;
  if (!words.startsWith("efi")) return "bios";
  return config.get("bootoptions.efisecurebootenabled") === "true" ? "uefi-secure" : "uefi";
}
