/** httpie's request items, as a JSON object: `key=text`, `key:=json`, `key[sub]=text`, `key[]=text`, `@file.json`, `-`. */
import { readFileSync } from "node:fs";
import { fromText, type Schema, wantsList, within } from "../../core/json-schema.ts";
import { UsageError } from "../report.ts";

/** Key, brackets, `=` or `:=`, `@` for the content of a file, value. */
const ITEM = /^([\w-]+)((?:\[[^\]]*\])*)(:?=)(@?)(.*)$/s;

export function readItems(items: string[], schema: Schema): Record<string, unknown> {
  let input: Record<string, unknown> = {};
  for (const item of items) {
    if (item === "-") input = { ...input, ...readObject(0, "standard input") };
    else if (item.startsWith("@")) input = { ...input, ...readObject(item.slice(1), item) };
    else input = readField(item, input, schema);
  }
  return input;
}

/** `input` with one more field. */
function readField(item: string, input: Record<string, unknown>, schema: Schema) {
  const [, key, brackets = "", operator, file, text = ""] = ITEM.exec(item) ?? [];
  if (key === undefined) {
    const forms = "key=text, key:=json, @file.json or - for standard input";
    throw new UsageError(`${item}: fields are written as ${forms}`);
  }
  const path = [key, ...[...brackets.matchAll(/\[([^\]]*)\]/g)].map(([, sub]) => `${sub}`)];
  const given = file ? readText(text, item).replace(/\n$/, "") : text;
  const json = operator === ":=" ? { value: parse(given, item) } : undefined;
  const value = (at: Schema) => (json ? json.value : fromText(given, at));
  return place(input, path, schema, value) as typeof input;
}

/** Returns `before` with the value set; text for a list is appended to it. */
function place(
  before: unknown,
  [key, ...rest]: string[],
  schema: Schema,
  value: (at: Schema) => unknown,
): unknown {
  if (key === "") {
    const list = Array.isArray(before) ? before : [];
    return [...list, place(undefined, rest, within(schema, ""), value)];
  }
  if (key !== undefined) {
    const object: object = typeof before === "object" && before !== null ? before : {};
    const old = Object.hasOwn(object, key) ? (object as Record<string, unknown>)[key] : undefined;
    return { ...object, [key]: place(old, rest, within(schema, key), value) };
  }
  const found = value(schema);
  const one = typeof found === "string" && wantsList(schema);
  return one ? place(before, [""], schema, value) : found;
}

function readObject(file: string | 0, item: string): object {
  const value = parse(readText(file, item), item);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new UsageError(`${item}: must be a JSON object`);
}

function readText(file: string | 0, item: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new UsageError(`${item}: ${(cause as Error).message}`, { cause });
  }
}

function parse(text: string, item: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UsageError(`${item}: not valid JSON: ${(cause as Error).message}`, { cause });
  }
}
