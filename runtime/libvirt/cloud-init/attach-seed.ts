/**
 * The CD-ROM drive of a seed in a domain's definition, and the mark in its metadata that makes the seed the domain's
 * own. Every other CD-ROM is somebody's, and stays when a domain goes.
 */
import { readDisks } from "../disk.ts";
import { isDevice } from "../storage/locate.ts";
import { attribute, children, type Element, parseXml, textOf, xml } from "../xml.ts";
import { descend, type XmlDocument } from "../xml-document.ts";
import type { Seed } from "./seed.ts";
import { freeDrive } from "./seed-drive.ts";

export const NAMESPACE = "urn:hypersdk:seed:1";

/** Adds both. `uuid`: the domain's, so that another domain with a copy of the definition does not own the seed. */
export function attachSeed(doc: XmlDocument, { pool, volume, path }: Seed, uuid: string) {
  const { target, bus, address, controller } = freeDrive(doc);
  const [type, key] = isDevice(path) ? ["block", "dev"] : ["file", "file"];
  // without the seed the guest starts all the same, as once it is removed and a snapshot has it still
  const disk = xml`<disk type="${type}" device="cdrom"><driver name="qemu" type="raw"/><source ${key}="${path}" startupPolicy="optional"/><target dev="${target}" bus="${bus}"/><readonly/>${address}</disk>${controller}`;
  const mark = xml`<hypersdk:seed xmlns:hypersdk="${NAMESPACE}" domain="${uuid}" pool="${pool}" volume="${volume}" path="${path}" target="${target}"/>`;
  const last = doc.find("devices", "disk").at(-1);
  const [devices] = doc.find("devices");
  if (last) doc.after(last, `${disk}`);
  else if (devices) doc.prepend(devices, `${disk}`);
  const [metadata] = doc.find("metadata");
  const [name] = doc.find("name");
  if (metadata) doc.prepend(metadata, `${mark}`);
  else if (name) doc.after(name, `<metadata>\n${mark}\n</metadata>`);
}

export interface SeedMark extends Seed {
  target: string;
}

/** The seed that is the domain's own, in a drive or not; undefined for a mark that came with a copy from elsewhere. */
export function readSeedMark(domain: Element): SeedMark | undefined {
  const [mark] = children(domain, "metadata", "hypersdk:seed");
  if (!mark || mark["@domain"] !== textOf(domain, "uuid")) return undefined;
  const read = (name: string) => attribute(mark, name) ?? "";
  return { pool: read("pool"), volume: read("volume"), path: read("path"), target: read("target") };
}

/** The drives that hold this very seed. */
export const seedDrives = (domain: Element, { path, pool, volume }: Seed) =>
  readDisks(domain).filter(
    (disk) =>
      disk.device === "cdrom" &&
      (disk.path === path || (disk.pool === pool && disk.volume === volume)),
  );

/** Removes the drive of a seed and the mark, whosever it is: what is made from a domain has no part in its seed. */
export function dropSeed(doc: XmlDocument) {
  const marks = doc.find("metadata", "hypersdk:seed");
  for (const mark of marks) {
    const { path, pool, volume } = mark.attributes;
    const seed = { path: `${path}`, pool: `${pool}`, volume: `${volume}` };
    for (const disk of doc.find("devices", "disk")) {
      const element = parseXml(doc.text.slice(disk.start, disk.end), "disk");
      const domain = { devices: [{ disk: [element] }] };
      if (seedDrives(domain, seed).length > 0) doc.remove(disk);
      else if (isEmptied(disk, `${mark.attributes.target}`)) doc.remove(disk);
    }
    doc.remove(mark);
  }
}

const isEmptied = (disk: XmlDocument["root"], target: string) =>
  disk.attributes.device === "cdrom" &&
  descend([disk], ["source"]).length === 0 &&
  descend([disk], ["target"])[0]?.attributes.dev === target;
