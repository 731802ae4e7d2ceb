/**
 * The definition of a volume like another one. The other's own definition is the model, so that whatever libvirt
 * knows of its image is kept: encryption, cluster size, version, features, owner and mode.
 */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { children, parseXml } from "../xml.ts";
import { XmlDocument } from "../xml-document.ts";
import type { Volume } from "./volume.ts";

/** What libvirt finds out by itself, and where the data is. */
const OWN = [["key"], ["source"], ["physical"], ["backingStore"], ["dataStore"]];
const OWN_TARGET = [["path"], ["timestamps"]];
/** Of a device, which has the owner of its kind and no format of libvirt's making. */
const DEVICE_TARGET = [["format"], ["permissions"]];

/**
 * Writes the definition of an empty volume, or of a copy that stands on its own, from the output of `vol-dumpxml`.
 * The new volume is sparse.
 */
export function volumeLike(definition: string, name: string): { text: string } {
  const doc = new XmlDocument(definition);
  const isDevice = doc.root.attributes.type === "block";
  const target = [...OWN_TARGET, ...(isDevice ? DEVICE_TARGET : [])];
  const unwanted = [...OWN, ...target.map((path) => ["target", ...path])];
  for (const path of unwanted) for (const span of doc.find(...path)) doc.remove(span);
  // what a guest has encrypted itself is no matter of libvirt's, which sees a shorter volume
  if (doc.find("target", "format")[0]?.attributes.type === "raw" && !knowsSecret(definition)) {
    for (const span of doc.find("target", "encryption")) doc.remove(span);
    const [size] = children(parseXml(definition, "volume"), "physical");
    if (size) for (const span of doc.find("capacity")) doc.setText(span, `${size["#text"]}`);
  }
  // libvirt tells the version of new images alone, and takes an untold one for 0.10 (9.0) or for 1.1 (11.3)
  const [place] = doc.find("target");
  const isQcow2 = doc.find("target", "format")[0]?.attributes.type === "qcow2";
  if (place && isQcow2 && doc.find("target", "compat").length === 0)
    doc.prepend(place, "<compat>0.10</compat>");
  for (const span of doc.find("name")) doc.setText(span, name);
  for (const span of doc.find("allocation")) doc.setText(span, "0");
  doc.setAttribute(doc.root, "type", undefined);
  return { text: `${doc}` };
}

/** Whether the model names the secret without which libvirt cannot encrypt another volume. */
export const knowsSecret = (definition: string) =>
  children(parseXml(definition, "volume"), "target", "encryption", "secret").length > 0;

type Image = Pick<Volume, "format" | "capacity_bytes" | "encrypted">;

/** Gives a volume exactly this size. libvirt makes images of whole KiB, and resizes to the byte. */
export const shrinkVolume = (
  { virsh }: Pick<Context, "virsh">,
  { pool, name }: { pool: string; name: string },
  size: number,
) => virsh(["vol-resize", "--pool", pool, "--vol", name, "--capacity", `${size}B`, "--shrink"]);

/** Throws if libvirt has made another kind of volume than the model's. */
export function assertLike(made: Image, model: Image & Pick<Volume, "type">, name: string) {
  const differs = [
    ...(made.encrypted !== model.encrypted ? ["its encryption"] : []),
    ...(model.type !== "block" && made.format !== model.format ? ["its format"] : []),
    ...(made.capacity_bytes < model.capacity_bytes ? ["its capacity"] : []),
  ];
  if (differs.length === 0) return;
  const text = `volume ${name}: libvirt does not keep ${differs.join(" and ")} here`;
  throw new HyperError("unsupported", text);
}
