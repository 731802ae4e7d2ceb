/** The fields of a function's input, from its schema, for help, parsing and completion. */
import { asSchema, choices, type Schema, within } from "../../core/json-schema.ts";

export interface Field {
  name: string;
  required: boolean;
  schema: Schema;
}

export function fieldsOf({ properties = {}, required = [] }: Schema): Field[] {
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    required: required.includes(name),
    schema: asSchema(schema),
  }));
}

/** The allowed words of an enum or boolean. */
export function wordsOf(schema: Schema): string[] {
  return choices(schema).flatMap((one) =>
    one.type === "boolean" ? ["true", "false"] : (one.enum ?? []).map(String),
  );
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
