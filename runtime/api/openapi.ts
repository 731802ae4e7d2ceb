/** The API description (OpenAPI 3.1), made from the functions' own schemas. */
import * as z from "zod";
import type { Spec } from "../function/define.ts";
import type { Loaded } from "../function/load.ts";
import { errorAnswers, errorName, errorStatuses } from "./openapi-errors.ts";
import { type JsonSchema, jsonSchema } from "./openapi-schema.ts";

const ABOUT = `GET functions read the query, POST functions a JSON body (\`Content-Type: application/json\`).
A success is \`{ status, message, data, timestamp }\`; operations on many domains answer with a result for each.
Each function works on the hypervisor that \`?host=\` or the header \`X-Hypervisor\` names.

An error is \`{ error, code, request_id, timestamp }\`, with a stable \`code\`; some say more. Beside those of each function:
405 \`method_not_allowed\` for another method, 404 \`not_found\` for a path that does not exist, and 503
\`function_unavailable\` for a function that did not load, which is not described here.`;

type Shared = Record<string, JsonSchema>;

const HOST = ["Host", "Hypervisor"].map((name) => ({ $ref: `#/components/parameters/${name}` }));

/** A file that did not load is left out: its shapes are unknown. `GET /capabilities` names it. */
export function describeApi(functions: Loaded[], version: string) {
  const schemas: Shared = {};
  const loaded = functions.flatMap(({ path, function: one }) =>
    one ? [{ path, spec: one.spec as Spec }] : [],
  );
  const tag = tagger(loaded.map(({ path }) => path));
  const paths = loaded.map(({ path, spec }) => [
    path,
    { [spec.method.toLowerCase()]: operation(path, tag(path), spec, schemas) },
  ]);
  const tags = [...new Set(loaded.map(({ path }) => tag(path)))].sort();
  return {
    openapi: "3.1.1",
    info: {
      title: "HyperSDK Functions",
      version,
      summary: "Drive libvirt: one endpoint, one function file",
      description: ABOUT,
      license: { name: "LGPL-3.0-or-later", identifier: "LGPL-3.0-or-later" },
    },
    servers: [{ url: ".", description: "the server that this description is of" }],
    // any one of them; the last: none, where this machine's own users need no token
    security: [{ token: [] }, { apiKey: [] }, {}],
    tags: tags.map((name) => ({ name, description: tagText(name) })),
    paths: Object.fromEntries(paths),
    components: {
      parameters: {
        Host: {
          name: "host",
          in: "query",
          description: "alias of the hypervisor; the configuration's `default_host` unless given",
          schema: { type: "string" },
        },
        Hypervisor: {
          name: "X-Hypervisor",
          in: "header",
          description: "the same; `host` wins",
          schema: { type: "string" },
        },
      },
      securitySchemes: {
        token: { type: "http", scheme: "bearer" },
        apiKey: { type: "apiKey", in: "header", name: "X-API-Key", description: "the same token" },
      },
      responses: errorAnswers(schemas),
      schemas,
    },
  };
}

function operation(path: string, tag: string, spec: Spec, shared: Shared) {
  const input = jsonSchema(spec.input, "input", shared);
  const named = Object.keys(input.properties ?? {}).length > 0;
  const errors = errorStatuses({ method: spec.method, named }).map((status) => [
    status,
    { $ref: `#/components/responses/${errorName(status)}` },
  ]);
  const get = spec.method === "GET";
  return {
    operationId: camelCase(path),
    tags: [tag],
    summary: spec.summary,
    parameters: [...(get ? parameters(input, spec.examples) : []), ...HOST],
    ...(!get && { requestBody: body(input, spec.examples) }),
    responses: { [spec.status ?? 200]: answer(spec, shared), ...Object.fromEntries(errors) },
  };
}

type Examples = Spec["examples"];

/** The fields of a query; an example of one goes with the examples of the others that have its name. */
function parameters({ properties = {}, required = [] }: JsonSchema, examples: Examples) {
  return Object.entries(properties).map(([name, field]) => {
    const { description, ...schema } = field as JsonSchema;
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

function body(schema: JsonSchema, examples: Examples) {
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

function answer({ output, message, media = "application/json", summary }: Spec, shared: Shared) {
  const schema = jsonSchema(message === null ? output : envelope(output), "output", shared);
  return { description: summary, content: { [media.replace(/;.*/, "")]: { schema } } };
}

const envelope = (data: z.ZodType) =>
  z.object({
    status: z.literal("success"),
    message: z.string().describe("for people"),
    data,
    timestamp: z.iso.datetime(),
  });

const tagText = (tag: string) =>
  tag === "server" ? "This server" : `Functions under \`/libvirt/${tag}\``;

/** `/libvirt/network/create` → `libvirtNetworkCreate` */
const camelCase = (path: string) =>
  path.slice(1).replace(/\W+(.)/g, (_, letter: string) => letter.toUpperCase());

/** `/libvirt/network/create` and `/libvirt/networks` → `network`: the plural where there is no singular. */
function tagger(paths: string[]) {
  const words = new Set(paths.map((path) => path.split("/")[2]));
  return (path: string): string => {
    const [, first, second] = path.split("/");
    if (first !== "libvirt" || !second) return "server";
    const singular = second.replace(/s$/, "");
    return words.has(singular) ? singular : second;
  };
}
