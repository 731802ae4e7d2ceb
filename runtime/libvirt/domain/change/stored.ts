/** What a domain is to become, written into its stored definition. */
import { HyperError } from "../../../core/errors.ts";
import { escapeXml } from "../../xml.ts";
import type { XmlDocument } from "../../xml-document.ts";
import { setCurrentMemory, setCurrentVcpus, setMemory, setVcpus } from "../edit.ts";
import { setBoot } from "./boot.ts";
import type { readFields, Wish } from "./wish.ts";

type Fields = ReturnType<typeof readFields>;

/**
 * The wish, with the maxima that it moves: one is raised where it is too small, and lowered where it was equal,
 * for then nothing was left to grow into.
 */
export function completeWish(wish: Wish, now: Fields): Wish {
  return {
    ...wish,
    ...maximum("max_memory", wish.max_memory, { name: "memory", asked: wish.memory }, now),
    ...maximum("max_vcpus", wish.max_vcpus, { name: "vcpus", asked: wish.vcpus }, now),
  };
}

function maximum(
  field: "max_memory" | "max_vcpus",
  asked: number | undefined,
  below: { name: "memory" | "vcpus"; asked: number | undefined },
  now: Fields,
) {
  const current = below.asked ?? now[below.name];
  if (asked !== undefined) {
    if (asked >= current) return { [field]: asked };
    const text = `${field}: ${asked} is less than ${below.name}, ${current}; lower that too`;
    throw new HyperError("invalid_input", text);
  }
  const follows = now[below.name] === now[field] || current > now[field];
  return below.asked !== undefined && follows && current !== now[field] ? { [field]: current } : {};
}

/** Edits the definition; what equals the present stays byte for byte. */
export function writeWish(doc: XmlDocument, wish: Wish, now: Fields) {
  const { memory = now.memory, vcpus = now.vcpus, title, description, boot } = wish;
  const { max_memory = now.max_memory, max_vcpus = now.max_vcpus } = wish;
  if (max_memory !== now.max_memory) setMemory(doc, max_memory, memory);
  else if (memory !== now.memory) setCurrentMemory(doc, memory);
  if (max_vcpus !== now.max_vcpus) setVcpus(doc, max_vcpus, vcpus);
  else if (vcpus !== now.vcpus) setCurrentVcpus(doc, vcpus === max_vcpus ? undefined : vcpus);
  if (title !== undefined && title !== now.title) setText(doc, "title", title);
  if (description !== undefined && description !== now.description)
    setText(doc, "description", description);
  if (boot && `${boot}` !== `${now.boot}`) setBoot(doc, boot);
}

function setText(doc: XmlDocument, name: string, text: string) {
  const [present] = doc.find(name);
  if (present && text) return doc.setText(present, text);
  if (present) return doc.remove(present);
  for (const above of doc.find("name")) doc.after(above, `<${name}>${escapeXml(text)}</${name}>`);
}
