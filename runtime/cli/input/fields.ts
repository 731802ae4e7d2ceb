/** The fields of a function's input, from its schema, for help, parsing and completion. */
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

/** The allowed words of an enum or boolean. */
export function wordsOf(schema: Schema): string[] {
  return choices(schema).flatMap((one) =>
    one.type === "boolean" ? ["true", "false"] : (one.enum ?? []).map(String),
  );
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

/** The type of a value in a few words, for people. */
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
