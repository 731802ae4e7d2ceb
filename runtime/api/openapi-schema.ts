/** zod's schemas as the JSON Schema of an API description. */
import * as z from "zod";

export type JsonSchema = z.core.JSONSchema.BaseSchema;

/** Formats that say all; zod writes their expressions out as well. */
const FORMATS = ["date-time", "ipv4", "ipv6"];

/**
 * `io`: what is sent to the function, or what it answers. A schema with an `id` (`.meta({ id })`) is put into
 * `shared` and referred to.
 */
export function jsonSchema(
  schema: z.ZodType,
  io: "input" | "output",
  shared: Record<string, JsonSchema>,
): JsonSchema {
  // wrapped, because a reference needs something that refers
  const { $defs, properties } = z.toJSONSchema(z.object({ schema }), {
    io,
    unrepresentable: "any", // else one function's schema would take the whole description down
    override: ({ jsonSchema }) => tidy(jsonSchema, io),
  });
  Object.assign(shared, referring($defs ?? {}));
  return referring(properties?.schema) as JsonSchema;
}

function tidy(schema: JsonSchema, io: "input" | "output") {
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  if (FORMATS.includes(schema.format ?? "")) delete schema.pattern;
  // an answer may say more in a later version
  if (io === "output" && schema.additionalProperties === false) delete schema.additionalProperties;
}

const referring = <T>(schemas: T): T =>
  JSON.parse(JSON.stringify(schemas).replaceAll('"#/$defs/', '"#/components/schemas/'));
