/** The NUMA cells of a domain's definition: their memory and vCPUs follow those of the domain. */
import { HyperError } from "../../core/errors.ts";
import type { Span, XmlDocument } from "../xml-document.ts";

/** Bytes by libvirt's unit; without one it means KiB. */
const UNITS: Record<string, number> = {
  ...{ b: 1, bytes: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 },
  ...{ k: 2 ** 10, KiB: 2 ** 10, M: 2 ** 20, MiB: 2 ** 20 },
  ...{ G: 2 ** 30, GiB: 2 ** 30, T: 2 ** 40, TiB: 2 ** 40 },
};

/** A size as libvirt writes it, in KiB. */
export const kibibytes = (number: string | undefined, unit = "KiB") =>
  (Number(number) * (UNITS[unit] ?? Number.NaN)) / 1024;

/** The size that is an element's text. */
export const kibibytesOf = (doc: XmlDocument, span: Span) =>
  kibibytes(doc.textOf(span), span.attributes.unit);

/** Gives the cells `mebibytes` in all, each its share of before and at least one. libvirt counts whole MiB. */
export function scaleCells(doc: XmlDocument, cells: Span[], mebibytes: number) {
  const before = cells.map(({ attributes }) => kibibytes(attributes.memory, attributes.unit));
  for (const [i, size] of shares(before, mebibytes).entries()) {
    const cell = cells[i] as Span;
    doc.setAttribute(cell, "memory", `${size * 1024}`);
    doc.setAttribute(cell, "unit", "KiB");
  }
}

/** Gives each cell with vCPUs its share of `count` vCPUs, in order. Throws `unsupported` if they are too few. */
export function shareCpus(doc: XmlDocument, cells: Span[], count: number) {
  const having = cells.filter(({ attributes }) => attributes.cpus);
  if (having.length === 0) return;
  if (count < having.length) {
    const text = `vcpus: its ${having.length} NUMA cells with vCPUs need at least ${having.length}`;
    throw new HyperError("unsupported", text);
  }
  const before = having.map(({ attributes }) => listLength(`${attributes.cpus}`));
  let next = 0;
  for (const [i, size] of shares(before, count).entries()) {
    const last = next + size - 1;
    doc.setAttribute(having[i] as Span, "cpus", next === last ? `${next}` : `${next}-${last}`);
    next += size;
  }
}

/** How many numbers a list such as `0-3,^2,8` has. */
function listLength(list: string): number {
  const numbers = new Set<number>();
  for (const part of list.split(",")) {
    const [from, to = from] = part.replace("^", "").trim().split("-").map(Number);
    for (let n = Number(from); n <= Number(to); n++)
      if (part.trim().startsWith("^")) numbers.delete(n);
      else numbers.add(n);
  }
  return numbers.size;
}

/** Splits a whole number in proportion to the weights; each part is at least 1, and their sum is exact. */
function shares(weights: number[], total: number): number[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  if (!(sum > 0) && weights.length > 0)
    return shares(
      weights.map(() => 1),
      total,
    );
  const free = total - weights.length;
  let given = 0;
  let seen = 0;
  return weights.map((weight) => {
    seen += weight;
    const upTo = Math.round((seen / sum) * free);
    const part = upTo - given;
    given = upTo;
    return 1 + part;
  });
}
