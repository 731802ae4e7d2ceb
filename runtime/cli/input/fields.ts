/** A function's input as the command line shows it, reads it and completes it: from its schema. */
import type * as z from "zod";

export type Schema = z.core.JSONSchema.BaseSchema;

export interface Field {
  name: string;
  required: boolean;
  schema: Schema;
}

export function schemaOf(input: z.ZodObject): Schema {
  return input.toJSONSchema({ io: "input", unrepresentable: "any" });
}

export function fieldsOf({ properties = {}, required = [] }: Schema): Field[] {
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    required: required.includes(name),
    schema: asSchema(schema),
  }));
}

/** The schemas that a value may follow, each of one type. */
export function choices(schema: Schema): Schema[] {
  const among = schema.anyOf ?? schema.oneOf;
  if (among) return among.flatMap((one) => choices(asSchema(one)));
  const types: unknown = schema.type;
  return Array.isArray(types) ? types.map((type) => ({ ...schema, type })) : [schema];
}

export function accepts(schema: Schema, ...types: string[]): boolean {
  return choices(schema).some(({ type }) => types.includes(`${type}`));
}

/** The words that a value may be, where there is a list of them. */
export function wordsOf(schema: Schema): string[] {
  return choices(schema).flatMap((one) =>
    one.type === "boolean" ? ["true", "false"] : (one.enum ?? []).map(String),
  );
}

/** What stands in a list, or under a key of an object; a schema of anything where it is not said. */
export function within(schema: Schema, key: string): Schema {
  for (const one of choices(schema)) {
    if (one.type === "array") return asSchema(one.items);
    if (one.properties && Object.hasOwn(one.properties, key)) return asSchema(one.properties[key]);
    if (one.additionalProperties) return asSchema(one.additionalProperties);
  }
  return {};
}

/** What a value is, in a few words. */
export function kindOf(schema: Schema): string {
  const kinds = choices(schema).map((one) => {
    const words = wordsOf(one);
    if (words.length > 0) return words.join(" | ");
    if (one.type === "array") return `${kindOf(within(one, ""))}, repeatable`;
    if (one.type === "object") return "object";
    return one.type === "string" ? (one.format ?? "text") : `${one.type ?? "JSON"}`;
  });
  return [...new Set(kinds)].join(" or ");
}

function asSchema(schema: unknown): Schema {
  return typeof schema === "object" && schema !== null && !Array.isArray(schema)
    ? (schema as Schema)
    : {};
}
