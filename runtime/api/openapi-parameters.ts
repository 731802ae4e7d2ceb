/** The input of an operation in an API description: its query, its path and its body. */
import { isOf, type Method } from "../core/method.ts";
import type { Spec } from "../function/define.ts";
import type { JsonSchema } from "./openapi-schema.ts";

type Examples = Spec["examples"];

/** The last segment of an alias. */
export const ID = "{id}";

/** The types of what these return are named, since a package cannot name those of zod that would be inferred. */
type Described = Record<string, unknown>;

export function pathParameter({ properties }: JsonSchema, examples: Examples): Described {
  const [id] = parameters({ properties: { id: properties?.id ?? {} }, required: ["id"] }, examples);
  return { ...id, in: "path" };
}

/** What is left for the query or the body where the path has the ID. */
export function withoutId(input: JsonSchema, examples: Examples): [JsonSchema, Examples] {
  const { id, ...properties } = input.properties ?? {};
  const required = input.required?.filter((name) => name !== "id") ?? [];
  const { required: _, ...rest } = input;
  const left = { ...rest, properties, ...(required.length > 0 && { required }) };
  return [left, examples?.map(({ id, ...others }) => others)];
}

/** What is left where a field is another method's alone. */
export function withoutOthers(input: JsonSchema, method: Method): JsonSchema {
  const fields = Object.entries(input.properties ?? {}).filter(([, field]) => isOf(field, method));
  return { ...input, properties: Object.fromEntries(fields) };
}

/** The fields of a query; an example of one goes with the examples of the others that have its name. */
export function parameters(
  { properties = {}, required = [] }: JsonSchema,
  examples: Examples,
): Described[] {
  return Object.entries(properties).map(([name, field]) => {
    const { description, "x-method": _, ...schema } = field as JsonSchema & { "x-method"?: Method };
    const given = named((examples ?? []).map((example) => example[name]));
    return {
      name,
      in: "query",
      required: required.includes(name),
      description,
      schema,
      ...(Object.keys(given).length > 0 && { examples: given }),
    };
  });
}

export function body(schema: JsonSchema, examples: Examples): Described {
  return {
    required: true,
    content: {
      "application/json": { schema, ...(examples && { examples: named(examples) }) },
    },
  };
}

const named = (values: unknown[]) =>
  Object.fromEntries(
    values.flatMap((value, i) => (value === undefined ? [] : [[`example${i + 1}`, { value }]])),
  );
