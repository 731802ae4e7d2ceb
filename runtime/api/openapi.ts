/** The API description (OpenAPI 3.1), made from the functions' own schemas. */
import * as z from "zod";
import { type Method, methodsOf } from "../core/method.ts";
import type { Spec } from "../function/define.ts";
import type { Loaded } from "../function/load.ts";
import {
  BASE64,
  bytesBody,
  bytesResponses,
  givesBytes,
  isPicture,
  pictureContent,
  rangeParameters,
  takesBytes,
} from "./openapi-bytes.ts";
import { errorAnswers, errorName, errorStatuses } from "./openapi-errors.ts";
import { isKeyed, jobParameters, jobResponse, usedParameters } from "./openapi-jobs.ts";
import {
  body,
  ID,
  parameters,
  pathParameter,
  withoutId,
  withoutOthers,
} from "./openapi-parameters.ts";
import { type JsonSchema, jsonSchema } from "./openapi-schema.ts";

const ABOUT = `GET functions read the query, POST and PUT functions a JSON body (\`Content-Type: application/json\`), or bytes and the query.
A success is \`{ status, message, data, timestamp }\`; operations on many domains, and lists over several hypervisors or of the database,
have their own fields instead, as their answers below show. Each function works on the hypervisor that \`?host=\` or the header \`X-Hypervisor\` names.

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
  const paths = loaded.flatMap(({ path, spec }) =>
    [path, ...(spec.alias ? [spec.alias.replace(":id", ID)] : [])].map((one) => [
      one,
      operations(one, tag(path), spec, schemas),
    ]),
  );
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
        ...usedParameters(loaded.map(({ spec }) => spec)),
      },
      securitySchemes: {
        token: { type: "http", scheme: "bearer" },
        apiKey: { type: "apiKey", in: "header", name: "X-API-Key", description: "the same token" },
      },
      responses: errorAnswers(
        schemas,
        loaded.some(({ spec }) => givesBytes(spec, "GET")),
      ),
      schemas,
    },
  };
}

/** One for each method; the first has the path's name as its ID. */
function operations(path: string, tag: string, spec: Spec, shared: Shared) {
  const made = methodsOf(spec).map((method, i) => {
    const name = path === "/" ? "root" : path.replace(ID, "by-id");
    const operationId = camelCase(i === 0 ? name : `${name}/${method.toLowerCase()}`);
    return [method.toLowerCase(), { operationId, ...operation(path, method, tag, spec, shared) }];
  });
  return Object.fromEntries(made);
}

function operation(path: string, method: Method, tag: string, spec: Spec, shared: Shared) {
  const whole = withoutOthers(jsonSchema(spec.input, "input", shared), method);
  const inPath = path.endsWith(ID) ? [pathParameter(whole, spec.examples)] : [];
  const [input, examples] =
    inPath.length > 0 ? withoutId(whole, spec.examples) : [whole, spec.examples];
  const named = Object.keys(whole.properties ?? {}).length > 0;
  const [takes, gives] = [takesBytes(spec, method), givesBytes(spec, method)];
  const inBody = method === "GET" ? undefined : takes ? "bytes" : "json";
  const errors = errorStatuses({
    ...{ body: inBody, ranges: gives, named, keyed: isKeyed(spec) },
  }).map((status) => [status, { $ref: `#/components/responses/${errorName(status)}` }]);
  const inQuery = inBody !== "json";
  return {
    tags: [tag],
    summary: spec.summary,
    parameters: [
      ...inPath,
      ...(inQuery ? parameters(input, examples) : []),
      ...HOST,
      ...(gives ? rangeParameters() : []),
      ...jobParameters(spec),
    ],
    ...(takes && { requestBody: bytesBody() }),
    ...(!inQuery && { requestBody: body(input, examples) }),
    responses: {
      ...(gives ? bytesResponses(spec) : { [spec.status ?? 200]: answer(spec, shared) }),
      ...jobResponse(spec, shared, spec.status === 202 ? success(spec, shared) : undefined),
      ...Object.fromEntries(errors),
    },
  };
}

const success = ({ output, message }: Spec, shared: Shared) =>
  jsonSchema(message === null ? output : envelope(output), "output", shared);

function answer(spec: Spec, shared: Shared) {
  const { media = "application/json", summary, stream } = spec;
  const schema = success(spec, shared);
  const one = stream === "sse" ? {} : { [media.replace(/;.*/, "")]: { schema } };
  if (isPicture(spec)) {
    Object.assign(one, pictureContent(media, jsonSchema(envelope(BASE64), "output", shared)));
  }
  const told = stream && stream !== "bytes" ? events(spec, shared) : {};
  return { description: summary, content: { ...one, ...told } };
}

/** OpenAPI 3.1 has no word for the items of a stream: the string is the `data` of each event. */
function events({ output, stream }: Spec, shared: Shared) {
  const asked = typeof stream === "object" ? ` (with \`${stream.when}\`)` : "";
  const schema = {
    type: "string",
    description: `the \`data\` of each event${asked}; the last one of a stream that fails is \`event: error\``,
    contentMediaType: "application/json",
    contentSchema: jsonSchema(
      typeof stream === "object" ? stream.events : output,
      "output",
      shared,
    ),
  };
  return { "text/event-stream": { schema } };
}

const envelope = (data: z.ZodType) =>
  z.object({
    status: z.literal("success"),
    message: z.string().describe("for people"),
    data,
    timestamp: z.iso.datetime(),
  });

const tagText = (tag: string) => {
  if (tag === "server") return "This server";
  if (tag === "console") return "Screens and serial consoles";
  return tag === "jobs"
    ? "Calls that run in the background"
    : `Functions under \`/libvirt/${tag}\``;
};

/** `/libvirt/network/create` → `libvirtNetworkCreate` */
const camelCase = (path: string) =>
  path.slice(1).replace(/\W+(.)/g, (_, letter: string) => letter.toUpperCase());

/** `/libvirt/network/create` and `/libvirt/networks` → `network`: the plural where there is no singular. */
function tagger(paths: string[]) {
  const words = new Set(paths.map((path) => path.split("/")[2]));
  return (path: string): string => {
    const [, first, second] = path.split("/");
    if (first === "job" || first === "jobs") return "jobs";
    if (first === "console") return "console";
    if (first !== "libvirt" || !second) return "server";
    const singular = second.replace(/s$/, "");
    return words.has(singular) ? singular : second;
  };
}
