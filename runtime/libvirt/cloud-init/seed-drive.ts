/** A free place for the CD-ROM drive of a seed: on the bus of the boot disk, whose driver the guest has. */
import { HyperError } from "../../core/errors.ts";
import { type Xml, xml } from "../xml.ts";
import { descend, type Span, type XmlDocument } from "../xml-document.ts";

export interface Drive {
  /** Such as `sda`. */
  target: string;
  bus: string;
  address?: Xml;
  /** A controller that the domain lacks. */
  controller?: Xml;
}

const LETTERS = "abcdefghijklmnopqrstuvwxyz";
const IDE_DRIVES = 4;

/**
 * Debian's kernel for clouds has no driver of q35's SATA, and Windows has none of virtio-scsi. An IDE or SATA disk is
 * a sign of a guest without virtio.
 */
export function freeDrive(doc: XmlDocument): Drive {
  const disks = doc.find("devices", "disk");
  const targets = disks.flatMap((disk) => descend([disk], ["target"]));
  const first = disks.find(({ attributes }) => !/^(cdrom|floppy)$/.test(`${attributes.device}`));
  const [own] = first ? descend([first], ["target"]) : [];
  const bus = own?.attributes.bus ?? "virtio";
  const taken = new Set(targets.map(({ attributes }) => attributes.dev));
  const free = (prefix: string, letters = LETTERS) => {
    const letter = [...letters].find((one) => !taken.has(prefix + one));
    if (letter) return { target: prefix + letter, index: letters.indexOf(letter) };
    throw new HyperError("unsupported", `cloud_init: the domain has no free ${bus} drive`);
  };
  if (bus === "ide") return { target: free("hd", LETTERS.slice(0, IDE_DRIVES)).target, bus };
  if (bus === "sata" || bus === "usb") return { target: free("sd").target, bus };
  const { target, index } = free("sd");
  const { number, isThere } = virtioScsi(doc);
  return {
    target,
    bus: "scsi",
    address: xml`<address type="drive" controller="${number}" bus="0" target="0" unit="${isThere ? freeUnit(disks, number, index) : 0}"/>`,
    ...(!isThere && {
      controller: xml`<controller type="scsi" index="${number}" model="virtio-scsi"/>`,
    }),
  };
}

/** The first controller of that model, or the number of a new one. */
function virtioScsi(doc: XmlDocument) {
  const all = doc
    .find("devices", "controller")
    .filter(({ attributes }) => attributes.type === "scsi");
  const numbers = all.map(({ attributes }) => Number(attributes.index ?? 0));
  const known = all.findIndex(({ attributes }) => /^virtio/.test(`${attributes.model}`));
  return known < 0
    ? { number: Math.max(-1, ...numbers) + 1, isThere: false }
    : { number: numbers[known] ?? 0, isThere: true };
}

/** A unit that no disk has, by its address or by the name that libvirt makes the address of. */
function freeUnit(disks: Span[], controller: number, from: number): number {
  const isScsi = (disk: Span) => descend([disk], ["target"])[0]?.attributes.bus === "scsi";
  const units = disks.filter(isScsi).map((disk) => {
    const [address] = descend([disk], ["address"]);
    if (address && Number(address.attributes.controller ?? 0) !== controller) return -1;
    const [target] = descend([disk], ["target"]);
    return Number(address?.attributes.unit ?? LETTERS.indexOf(`${target?.attributes.dev?.[2]}`));
  });
  let unit = from;
  while (units.includes(unit)) unit++;
  return unit;
}
