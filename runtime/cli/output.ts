/** Prints the answer of a call: a table at a terminal, JSON in a pipe. */
import type { Events } from "../core/stream.ts";

type Row = Record<string, unknown>;

export function print(
  data: unknown,
  options: { json?: boolean | undefined; message?: string | undefined },
) {
  const { json = !process.stdout.isTTY, message } = options;
  if (typeof data === "string") return console.log(data); // a page
  if (data instanceof Uint8Array) return void process.stdout.write(data);
  if (json) return console.log(JSON.stringify(data, null, 2));
  const text = render(listOf(data), process.stdout.columns || 80);
  console.log([text, message].filter(Boolean).join("\n\n"));
}

/** One line for each event; a text as it is at a terminal. */
export async function printEvents(events: Events, { json = !process.stdout.isTTY }) {
  for await (const one of events) {
    if (json) console.log(JSON.stringify(one));
    else console.log([one.event, line(one.data)].filter(Boolean).join("  "));
  }
}

const line = (data: unknown) => (typeof data === "string" ? show(data) : JSON.stringify(data));

/** `{ networks: […], total }` is shown as its list. */
function listOf(data: unknown): unknown {
  const [first, second, ...more] = isObject(data) ? Object.entries(data) : [];
  const only = more.length === 0 && second?.[0] === "total" && Array.isArray(first?.[1]);
  return only ? first?.[1] : data;
}

/** Renders lists of flat rows as tables if the width allows it, everything else as indented `name  value`. */
export function render(data: unknown, width: number): string {
  if (!isObject(data)) return show(data);
  if (Array.isArray(data)) return renderList(data, width);
  const entries = Object.entries(data);
  const flat = entries.filter(([, value]) => !isDeep(value));
  const columns = Math.max(0, ...flat.map(([name]) => wide(name)));
  const lines = flat.map(([name, value]) => `${pad(show(name), columns)}  ${show(value)}`);
  const deep = entries.filter(([, value]) => isDeep(value));
  return [
    lines.join("\n"),
    ...deep.map(([name, value]) => `${show(name)}:\n${indent(render(value, width - 2))}`),
  ]
    .filter(Boolean)
    .join("\n");
}

function renderList(list: unknown[], width: number): string {
  if (list.length === 0) return "none";
  if (!list.every(isObject)) return list.map((one) => render(one, width)).join("\n");
  const table = renderTable(list, width);
  return table ?? list.map((one) => render(one, width)).join("\n\n");
}

/** Undefined if the table would be too wide, or a cell is an object. */
export function renderTable(rows: object[], width: number): string | undefined {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  if (rows.some((row) => Object.values(row).some(isDeep))) return undefined;
  const cells = rows.map((row) => names.map((name) => show((row as Row)[name])));
  const all = [names.map((name) => show(name).toUpperCase()), ...cells];
  const columns = names.map((_, i) => Math.max(...all.map((row) => wide(row[i] ?? ""))));
  if (columns.reduce((sum, one) => sum + one + 2, -2) > width) return undefined;
  return all
    .map((row) => row.map((cell, i) => pad(cell, columns[i] ?? 0)).join("  "))
    .map((line) => line.trimEnd())
    .join("\n");
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

/** True for objects and lists of objects; other lists fit on one line. */
const isDeep = (value: unknown) =>
  isObject(value) && (!Array.isArray(value) ? Object.keys(value).length > 0 : value.some(isObject));

/** A value on one line. Control characters are escaped, because a name may hold some that move the cursor. */
function show(value: unknown): string {
  if (value === null || value === undefined) return "-";
  if (typeof value === "boolean") return value ? "yes" : "no";
  const text = Array.isArray(value) ? value.map(show).join(", ") || "none" : String(value);
  const plain = isObject(value) && !Array.isArray(value) ? "none" : text;
  return plain.replace(/[\p{Cc}\p{Cf}]/gu, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`);
}

const indent = (text: string) => text.replace(/^(?=.)/gm, "  ");
const wide = (text: string) => Bun.stringWidth(text);
const pad = (text: string, width: number) => text + " ".repeat(Math.max(0, width - wide(text)));
