/** Reading and writing libvirt's XML: one parser configuration, and a template tag that escapes. */
import type { XMLParser } from "fast-xml-parser";

/** An element: attributes as `@name`, text as `#text`, children always in lists. */
export interface Element {
  [child: string]: Element[] | string | undefined;
}

let parser: XMLParser | undefined;

/** Values stay text (a machine may be named 007), and a single child is a list too. */
function openParser(): XMLParser {
  // loaded with the first document, since it takes a start 10 ms
  const { XMLParser } = require("fast-xml-parser") as typeof import("fast-xml-parser");
  return new XMLParser({
    ignoreAttributes: false,
    attributeNamePrefix: "@",
    alwaysCreateTextNode: true,
    parseTagValue: false,
    parseAttributeValue: false,
    trimValues: false,
    ignoreDeclaration: true,
    ignorePiTags: true,
    isArray: (_name, _path, _leaf, isAttribute) => !isAttribute,
  });
}

/** Removes processing instructions: the parser reads attributes in them, and fails at a single apostrophe. */
function withoutInstructions(text: string): string {
  return text.replace(/<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<\?[\s\S]*?\?>/g, (token) =>
    token.startsWith("<?") ? "" : token,
  );
}

/** Parses a document into its root element. Throws if that is another than `root`. */
export function parseXml(text: string, root: string): Element {
  parser ??= openParser();
  const element = (parser.parse(withoutInstructions(text)) as Element)[root];
  if (!Array.isArray(element) || !element[0]) throw new Error(`no <${root}> in the XML`);
  return element[0];
}

/** The elements at a path of child names: `children(domain, "devices", "disk")`. */
export function children(element: Element | undefined, ...path: string[]): Element[] {
  return path.reduce<Element[]>(
    (parents, name) => parents.flatMap((parent) => (parent[name] as Element[] | undefined) ?? []),
    element ? [element] : [],
  );
}

/** An attribute of the first element at a path. */
export function attribute(
  element: Element | undefined,
  name: string,
  ...path: string[]
): string | undefined {
  return children(element, ...path)[0]?.[`@${name}`] as string | undefined;
}

/** The text of the first element at a path. */
export function textOf(element: Element | undefined, ...path: string[]): string | undefined {
  return children(element, ...path)[0]?.["#text"] as string | undefined;
}

/** XML that is inserted without escaping. */
export class Xml {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  toString() {
    return this.text;
  }
}

type Value = Xml | string | number | undefined | null | false | Value[];

/** A template tag for XML: every value is escaped, `undefined`, `null` and `false` write nothing, lists are joined. */
export function xml(parts: TemplateStringsArray, ...values: Value[]): Xml {
  return new Xml(String.raw({ raw: parts }, ...values.map(write)));
}

function write(value: Value): string {
  if (value === undefined || value === null || value === false) return "";
  if (Array.isArray(value)) return value.map(write).join("");
  return value instanceof Xml ? value.text : escapeXml(`${value}`);
}

const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};

export function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => ENTITIES[char] ?? char);
}

/** The text that libvirt has written as `text`; it writes these five entities alone. */
export function unescapeXml(text: string): string {
  return text.replace(/&(lt|gt|amp|quot|apos);/g, (entity) => {
    const [char = entity] = Object.entries(ENTITIES).find(([, name]) => name === entity) ?? [];
    return char;
  });
}
