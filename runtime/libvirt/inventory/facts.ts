/**
 * What the inventory takes from a definition. Parsing ten thousand definitions as XML takes seconds, so these few texts
 * are found where libvirt writes them: names and metadata first, then sizes, `<os>` and devices, each indented. All text
 * but metadata is escaped there, so the last end of metadata is the true one.
 */
import { parseXml, unescapeXml } from "../xml.ts";
import { TAGS_NAMESPACE, tagsIn } from "./tags.ts";
import type { Vm } from "./vm.ts";

export type Facts = Pick<Vm, "memory" | "vcpus" | "tags" | "os" | "networks" | "bridges" | "macs">;

const END_OF_METADATA = "\n  </metadata>";
const UNITS: Record<string, number> = { KiB: 1024, b: 1, bytes: 1 };

/** `text`: of `dumpxml`. */
export function factsIn(text: string): Facts {
  const end = text.lastIndexOf(END_OF_METADATA);
  const rest = text.slice(Math.max(0, end));
  const metadata = end < 0 ? "" : text.slice(text.indexOf("\n  <metadata>"), end);
  const nics = [...rest.matchAll(/\n {4}<interface [\s\S]*?\n {4}<\/interface>/g)].map(
    ([nic]) => nic,
  );
  return {
    memory: size(rest, "currentMemory") ?? size(rest, "memory"),
    vcpus: vcpus(rest),
    tags: metadata.includes(TAGS_NAMESPACE) ? readTags(metadata) : [],
    os: system(metadata),
    networks: sources(nics, "network"),
    bridges: sources(nics, "bridge"),
    macs: nics.flatMap((nic) => /<mac address='([^']+)'/.exec(nic)?.[1]?.toLowerCase() ?? []),
  };
}

function size(rest: string, name: string): number | null {
  const [, unit = "", count] = new RegExp(`\n  <${name} unit='(\\w+)'>(\\d+)<`).exec(rest) ?? [];
  return count && UNITS[unit] ? Number(count) * UNITS[unit] : null;
}

function vcpus(rest: string): number | null {
  const [, options = "", count] = /\n {2}<vcpu([^>]*)>(\d+)</.exec(rest) ?? [];
  const [, current = count] = / current='(\d+)'/.exec(options) ?? [];
  return current === undefined ? null : Number(current);
}

/** As this project writes them, through libvirt: without a comment, a CDATA section or an entity. */
const PLAIN = new RegExp(
  `\n {4}<(\\w+):tags xmlns:\\1="${TAGS_NAMESPACE}">((?:\\s*<\\1:tag>[^<&]*</\\1:tag>)*)\\s*</\\1:tags>`,
);

function readTags(metadata: string): string[] {
  const [, prefix, tags] = metadata.includes("<!") ? [] : (PLAIN.exec(metadata) ?? []);
  if (tags === undefined) return tagsIn(parseXml(`${metadata}${END_OF_METADATA}`, "metadata"));
  const texts = tags.split(`</${prefix}:tag>`).map((tag) => tag.slice(tag.indexOf(">") + 1).trim());
  return distinct(texts.filter(Boolean)).sort();
}

/** `http://debian.org/debian/12` has the short name debian12, and so have nearly all. */
function system(metadata: string): string {
  const [, id = ""] = /<libosinfo:os id="([^"]*)"/.exec(metadata) ?? [];
  return id.split("/").slice(-2).join("");
}

function sources(nics: string[], attribute: string): string[] {
  const pattern = new RegExp(`<source [^>]*?\\b${attribute}='([^']*)'`);
  const names = nics.map((nic) => pattern.exec(nic)?.[1] ?? "").filter(Boolean);
  return distinct(names.map(unescapeXml));
}

const distinct = (texts: string[]) => [...new Set(texts)];
