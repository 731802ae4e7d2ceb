/** What a JSON Schema accepts, for values that arrive as texts: from a query string or a command line. */
import type * as z from "zod";

export type Schema = z.core.JSONSchema.BaseSchema;

export function schemaOf(input: z.ZodObject): Schema {
  return input.toJSONSchema({ io: "input", unrepresentable: "any" });
}

export function asSchema(schema: unknown): Schema {
  return typeof schema === "object" && schema !== null && !Array.isArray(schema)
    ? (schema as Schema)
    : {};
}

/** The alternatives of a schema, each of one type. */
export function choices(schema: Schema): Schema[] {
  const among = schema.anyOf ?? schema.oneOf;
  if (among) return among.flatMap((one) => choices(asSchema(one)));
  const types: unknown = schema.type;
  return Array.isArray(types) ? types.map((type) => ({ ...schema, type })) : [schema];
}

export function accepts(schema: Schema, ...types: string[]): boolean {
  return choices(schema).some(({ type }) => types.includes(`${type}`));
}

/** The schema of the items of a list, or of a key of an object; the empty schema, which allows anything, if unknown. */
export function within(schema: Schema, key: string): Schema {
  for (const one of choices(schema)) {
    if (one.type === "array") return asSchema(one.items);
    if (one.properties && Object.hasOwn(one.properties, key)) return asSchema(one.properties[key]);
    if (one.additionalProperties) return asSchema(one.additionalProperties);
  }
  return {};
}

/** The keys of an object, of all its alternatives. */
export const keysOf = (schema: Schema): string[] => [
  ...new Set(choices(schema).flatMap(({ properties = {} }) => Object.keys(properties))),
];

/** A list of texts is what the schema wants, and not one text. */
export const wantsList = (schema: Schema) => accepts(schema, "array") && !accepts(schema, "string");

/** Converts text to a number or boolean if the schema accepts one and the text is one. */
export function fromText(text: string, schema: Schema): string | number | boolean {
  const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text);
  if (number && accepts(schema, "number", "integer")) return Number(text);
  if (/^(true|false)$/.test(text) && accepts(schema, "boolean")) return text === "true";
  return text;
}
