/** A caller who is limited to some domains: the fields of a function that name domains, and the lists that hold them. */
import * as z from "zod";
import type { Methods } from "../core/method.ts";
import type { Stream } from "../core/stream.ts";
import { type Access, type Caller, checkDomain, forbidden, maySee } from "./caller.ts";

/** The part of a function's declaration that decides who may call it. */
export interface Declaration {
  method: Methods;
  access: Access;
  input: z.ZodObject;
  output: z.ZodType;
  body?: "stream";
  stream?: Stream;
  scope?: "server" | "fleet";
  /** A WebSocket to its path is a console, which a ticket opens too. */
  upgrade?: unknown;
  /** It needs no right. */
  anybody?: boolean;
}

interface DomainFields {
  /** The fields of the input that name one domain or several: those with the mark of `DomainName`. */
  fields: string[];
  /** The lists of the answer whose items belong to one domain each, which a marked field of the item names. */
  lists: { list: string; field: string }[];
}

const cache = new WeakMap<Declaration, DomainFields>();

/** Read from the marks of the schemas, so that a new function needs no entry anywhere else. */
export function domainFields(spec: Declaration): DomainFields {
  const cached = cache.get(spec);
  if (cached) return cached;
  const fields = {
    // a field that is transformed has its mark on one side alone
    fields: [...new Set([...markedIn(spec.input, "input"), ...markedIn(spec.input, "output")])],
    lists: markedLists(spec.output),
  };
  cache.set(spec, fields);
  return fields;
}

/** Whether a caller who is limited to some domains may call the function at all. */
export function isAboutDomains(spec: Declaration): boolean {
  const { fields, lists } = domainFields(spec);
  return fields.length > 0 || lists.length > 0 || spec.scope === "server";
}

/** Throws `forbidden` for a domain that is not the caller's, and for a function that is not about domains alone. */
export function checkDomains(caller: Caller, path: string, spec: Declaration, input: object) {
  if (!caller.domains) return;
  if (!isAboutDomains(spec)) {
    const text = `may not call ${path}, which is not about domains alone; it is limited to ${caller.domains.join(", ")}`;
    throw forbidden(caller, `function:${path}`, text);
  }
  for (const name of namedDomains(spec, input)) checkDomain(caller, name);
}

/** The domains that the input names. */
export const namedDomains = (spec: Declaration, input: object): string[] =>
  hostedDomains(spec, input).map((name) => name.replace(/^[^/]*\//, ""));

/** As the input names them: a batch names one of another hypervisor as `host/name`. */
export function hostedDomains(spec: Declaration, input: object): string[] {
  const values = domainFields(spec).fields.flatMap(
    (field) => (input as Record<string, unknown>)[field],
  );
  return values.filter((value) => typeof value === "string");
}

/** The query by which the input selects domains in the place of naming them. */
export function selectionOf(spec: Declaration, input: object): string | undefined {
  const [field] = markedIn(spec.input, "input", SELECTION);
  return field && (input as Record<string, string | undefined>)[field];
}

/** The answer without the domains that are not the caller's. `total` is counted anew. */
export function filterDomains<T>(caller: Caller, spec: Declaration, data: T): T {
  if (!caller.domains) return data;
  const { lists } = domainFields(spec);
  if (lists.length === 0) return data;
  const filtered = { ...data } as Record<string, unknown>;
  for (const { list, field } of lists) {
    const items = filtered[list] as Record<string, string>[];
    const own = items.filter((item) => maySee(caller, `${item[field]}`));
    // a page of a longer list, from which its function has left out others' domains, keeps its total
    if (own.length < items.length) Object.assign(filtered, { [list]: own, total: own.length });
  }
  return filtered as T;
}

interface JsonSchema {
  $ref?: string;
  properties?: Record<string, JsonSchema>;
  items?: JsonSchema;
  $defs?: Record<string, JsonSchema>;
  "x-libvirt"?: string;
}

const schemaOf = (schema: z.ZodType, io: "input" | "output") =>
  z.toJSONSchema(schema, { io, unrepresentable: "any" }) as JsonSchema;

/** The marks of fields, as a schema that is written down has them. */
const DOMAIN = '"x-libvirt":"domain"';
const SELECTION = '"x-hypersdk":"selection"';

function markedIn(input: z.ZodType, io: "input" | "output", mark = DOMAIN): string[] {
  return Object.entries(schemaOf(input, io).properties ?? {})
    .filter(([, field]) => JSON.stringify(field).includes(mark))
    .map(([name]) => name);
}

function markedLists(output: z.ZodType): DomainFields["lists"] {
  const { properties = {}, $defs = {} } = schemaOf(output, "output");
  const named = (schema: JsonSchema | undefined) => {
    const id = schema?.$ref?.replace("#/$defs/", "");
    return id === undefined ? schema : $defs[id];
  };
  return Object.entries(properties).flatMap(([list, schema]) => {
    const fields = Object.entries(named(named(schema)?.items)?.properties ?? {});
    const marked = fields.find(([, field]) => named(field)?.["x-libvirt"] === "domain");
    return marked ? [{ list, field: marked[0] }] : [];
  });
}
