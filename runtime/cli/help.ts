/** `hypersdk call FUNCTION --help`, from the function's schema. */

import { type Schema, schemaOf } from "../core/json-schema.ts";
import { methodsOf } from "../core/method.ts";
import type { Spec } from "../function/define.ts";
import { type Field, fieldsOf, kindOf } from "./input/fields.ts";

export function help(name: string, spec: Spec): string {
  const { summary, input, examples = [] } = spec;
  const fields = fieldsOf(schemaOf(input));
  const usage = fields.map(({ name, required }) => (required ? `${name}=…` : `[${name}=…]`));
  const [example] = examples;
  const rows = fields.flatMap((field) => describe(field));
  const width = Math.max(0, ...rows.map(([name]) => name.length));
  return [
    `${summary} (${methodsOf(spec).join(" or ")} /${name})`,
    `Usage: ${["hypersdk call", name, ...usage, ...files(spec)].join(" ")}`,
    rows.length > 0 &&
      `Fields (* required):\n${rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`).join("\n")}`,
    example && `Example:\n  hypersdk call ${[name, ...words(example)].join(" ")}`,
    "Options: --host, --server, --token, --async, --json; see hypersdk call --help",
  ]
    .filter(Boolean)
    .join("\n\n");
}

/** Where bytes come from, and where they go. */
const files = ({ body, stream }: Spec) => [
  ...(body ? [stream === "bytes" ? "[< FILE]" : "< FILE"] : []),
  ...(stream === "bytes" ? ["[> FILE]"] : []),
];

/** The rows of a field: its own, and those of the fields of an object. */
function describe({ name, required, schema }: Field): [string, string][] {
  const { default: preset, description } = schema;
  const inner = fieldsOf(schema).map((one) => ({ ...one, name: `${name}[${one.name}]` }));
  const kind = inner.length > 0 ? "" : kindOf(schema);
  const given =
    preset === undefined || inner.length > 0 ? "" : `(default ${JSON.stringify(preset)})`;
  const value = [kind, bounds(schema), given].filter(Boolean).join(" ");
  const text = [value, description].filter(Boolean).join(": ");
  return [[`${name}${required ? "*" : ""}`, text], ...inner.flatMap(describe)];
}

function bounds({ minimum, maximum }: Schema): string {
  const [low, high] = [minimum, maximum].map((one) => Math.abs(one ?? 2 ** 53) < 2 ** 53 - 1); // zod writes the bounds of safe integers into the schema
  if (low && high) return `${minimum} to ${maximum}`;
  return low ? `at least ${minimum}` : high ? `at most ${maximum}` : "";
}

/** An example input as it is typed in a shell. */
function words(example: object): string[] {
  return Object.entries(example).flatMap(([key, value]) => {
    if (Array.isArray(value) && value.every((one) => typeof one === "string")) {
      return value.map((one) => quote(`${key}=${one}`));
    }
    const plain = typeof value !== "object";
    return [quote(plain ? `${key}=${value}` : `${key}:=${JSON.stringify(value)}`)];
  });
}

const quote = (word: string) =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
