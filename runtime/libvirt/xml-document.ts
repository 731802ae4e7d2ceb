/**
 * Edits libvirt's XML in place: everything else stays byte for byte, with its comments, foreign namespaces and
 * CDATA. A parser that writes the whole document anew would lose some of it.
 */
import { escapeXml } from "./xml.ts";

/** An element and where it stands in the text. */
export interface Span {
  name: string;
  start: number;
  /** Just behind the start tag. */
  inner: number;
  /** Where the end tag begins; equal to `end` when there is none (`<a/>`). */
  innerEnd: number;
  end: number;
  attributes: Record<string, string>;
  children: Span[];
}

const TOKEN =
  /<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<\?[\s\S]*?\?>|<!DOCTYPE[^>]*>|<\/[^>]+>|<[^\s/>]+(?:[^>"']|"[^"]*"|'[^']*')*>/g;
const ATTRIBUTE = /([^\s=<]+)\s*=\s*("[^"]*"|'[^']*')/g;

interface Edit {
  start: number;
  end: number;
  text: string;
}

export class XmlDocument {
  readonly text: string;
  readonly root: Span;
  #edits: Edit[] = [];

  constructor(text: string) {
    this.text = text;
    this.root = parse(text);
  }

  /** The elements at a path of child names below the root. */
  find(...path: string[]): Span[] {
    return descend([this.root], path);
  }

  /** The text of an element, unescaped and without the edits. */
  textOf(span: Span | undefined): string | undefined {
    return span && unescapeXml(this.text.slice(span.inner, span.innerEnd));
  }

  setText(span: Span, value: string) {
    this.#edit(span.inner, span.innerEnd, escapeXml(value));
  }

  /** Sets, adds or (undefined) removes an attribute. */
  setAttribute(span: Span, name: string, value: string | undefined) {
    const tag = this.text.slice(span.start, span.inner);
    if (span.attributes[name] === value) return; // its quotes stay as they were written
    const match = [...tag.matchAll(ATTRIBUTE)].find(([, key]) => key === name);
    const written = value === undefined ? "" : ` ${name}='${escapeXml(value)}'`;
    if (match) {
      const space = tag.slice(0, match.index).match(/\s*$/)?.[0].length ?? 0;
      this.#edit(
        span.start + match.index - space,
        span.start + match.index + match[0].length,
        written,
      );
    } else if (written) {
      const at = span.start + tag.length - (tag.endsWith("/>") ? 2 : 1);
      this.#edit(at, at, written);
    }
  }

  /** Removes an element with the white space before it, so that no empty line is left. */
  remove(span: Span) {
    const space = this.text.slice(0, span.start).match(/\s*$/)?.[0].length ?? 0;
    this.#edit(span.start - space, span.end, "");
  }

  /** Puts other XML in the place of an element. */
  replace(span: Span, xml: string) {
    this.#edit(span.start, span.end, xml);
  }

  /** Inserts XML as the first child. */
  prepend(span: Span, xml: string) {
    if (span.inner !== span.end) return this.#edit(span.inner, span.inner, `\n${xml}`);
    const tag = this.text.slice(span.start, span.inner);
    this.#edit(span.start, span.end, `${tag.slice(0, -2)}>\n${xml}\n</${span.name}>`);
  }

  /** Inserts XML behind an element. */
  after(span: Span, xml: string) {
    this.#edit(span.end, span.end, `\n${xml}`);
  }

  /** Of two edits of one range the later one counts; at one point both insert their text. */
  #edit(start: number, end: number, text: string) {
    const same = (edit: Edit) => start < end && edit.start === start && edit.end === end;
    this.#edits = this.#edits.filter((edit) => !same(edit));
    this.#edits.push({ start, end, text });
  }

  /** The document with its edits. An edit within a range that another one replaces is lost with it. */
  toString(): string {
    const inside = (a: Edit, b: Edit) =>
      a.start >= b.start &&
      a.end <= b.end &&
      a.end - a.start < b.end - b.start &&
      (a.end > a.start || (a.start > b.start && a.end < b.end));
    const edits = this.#edits
      .filter((edit) => !this.#edits.some((other) => inside(edit, other)))
      .toSorted((a, b) => b.start - a.start || b.end - a.end);
    return edits.reduce(
      (text, { start, end, text: inserted }) => text.slice(0, start) + inserted + text.slice(end),
      this.text,
    );
  }
}

/** The elements at a path of child names below the given ones. */
export function descend(spans: Span[], path: string[]): Span[] {
  return path.reduce(
    (parents, name) =>
      parents.flatMap(({ children }) => children.filter((child) => child.name === name)),
    spans,
  );
}

function parse(text: string): Span {
  const top: Span = {
    name: "",
    start: 0,
    inner: 0,
    innerEnd: text.length,
    end: text.length,
    attributes: {},
    children: [],
  };
  const open = [top];
  for (const { 0: token, index: start } of text.matchAll(TOKEN)) {
    if (/^<[!?]/.test(token)) continue;
    const end = start + token.length;
    const parent = open.at(-1) as Span;
    if (token.startsWith("</")) {
      parent.innerEnd = start;
      parent.end = end;
      open.pop();
      if (open.length === 0 || token.slice(2, -1).trim() !== parent.name)
        throw new Error(`unexpected ${token}`);
      continue;
    }
    const name = token.match(/^<([^\s/>]+)/)?.[1] ?? "";
    const pairs = [...token.matchAll(ATTRIBUTE)].map(([, key = "", value = ""]) => [
      key,
      unescapeXml(value.slice(1, -1)),
    ]);
    const span: Span = {
      name,
      start,
      inner: end,
      innerEnd: end,
      end,
      attributes: Object.fromEntries(pairs),
      children: [],
    };
    parent.children.push(span);
    if (!token.endsWith("/>")) open.push(span);
  }
  const [root] = top.children;
  if (open.length > 1 || !root) throw new Error("the XML is not complete");
  return root;
}

const NAMED: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) => {
    if (name) return NAMED[name] ?? whole;
    return String.fromCodePoint(hex ? Number.parseInt(hex, 16) : Number(decimal));
  });
}
