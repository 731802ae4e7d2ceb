/** The XML of an OVF, which comes from outside: read without entities, and by names without their prefixes. */
import { type Element, parseXml } from "../xml.ts";
import { ApplianceProblem } from "./appliance.ts";

/** An element by the local names of its attributes and children. */
export interface Node {
  attributes: Map<string, string>;
  children: Map<string, Node[]>;
  text: string;
}

/** Those of VMware and VirtualBox have 10 to 50 KB, and are 10 levels deep. */
export const MAX_OVF_BYTES = 2 * 1024 * 1024;
const MAX_DEPTH = 64;

/** Parses an OVF's `<Envelope>`. Throws `ApplianceProblem`. */
export function parseEnvelope(bytes: Buffer): Node {
  const text = bytes.toString("utf8");
  if (/^(\xfe\xff|\xff\xfe)/.test(bytes.toString("latin1", 0, 2)) || text.includes("\0"))
    throw new ApplianceProblem("is not in UTF-8");
  // an entity can stand for a file of this machine, or for a billion characters
  if (/<!\s*(DOCTYPE|ENTITY|ELEMENT|ATTLIST|NOTATION)/i.test(text))
    throw new ApplianceProblem("has a document type or entities, which no OVF needs");
  const [, prefix = ""] = text.match(/<(?:([\w.-]+):)?Envelope[\s>]/) ?? [];
  try {
    return toNode(parseXml(text, prefix ? `${prefix}:Envelope` : "Envelope"), 0);
  } catch (error) {
    if (error instanceof ApplianceProblem) throw error;
    throw new ApplianceProblem("is no OVF: it has no well-formed <Envelope>");
  }
}

const localName = (name: string) => name.slice(name.lastIndexOf(":") + 1);

function toNode(element: Element, depth: number): Node {
  if (depth > MAX_DEPTH)
    throw new ApplianceProblem(`has elements in more than ${MAX_DEPTH} levels`);
  const node: Node = { attributes: new Map(), children: new Map(), text: "" };
  for (const [key, value] of Object.entries(element)) {
    if (key === "#text") node.text = `${value}`.trim();
    else if (key.startsWith("@")) node.attributes.set(localName(key.slice(1)), `${value}`);
    else if (Array.isArray(value)) {
      const name = localName(key);
      const list = value.map((child) => toNode(child, depth + 1));
      node.children.set(name, [...(node.children.get(name) ?? []), ...list]);
    }
  }
  return node;
}

/** The elements at a path of local names. */
export const nodesAt = (node: Node | undefined, ...path: string[]): Node[] =>
  path.reduce<Node[]>(
    (parents, name) => parents.flatMap((parent) => parent.children.get(name) ?? []),
    node ? [node] : [],
  );

export const textAt = (node: Node | undefined, ...path: string[]): string | undefined =>
  nodesAt(node, ...path)[0]?.text || undefined;
