/** A caller who is limited to some domains: the fields of a function that name domains, and the lists that hold them. */
import * as z from "zod";
import type { Methods } from "../core/method.ts";
import type { Stream } from "../core/stream.ts";
import { type Access, type Caller, checkDomain, describeLimit, forbidden } from "./caller.ts";
import { type DomainRights, rightsByName } from "./domain-rights.ts";

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
  /** The input has tags, which it gives to domains or takes from them. */
  hasTags: boolean;
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
    hasTags: markedIn(spec.input, "input", TAGS).length > 0,
  };
  cache.set(spec, fields);
  return fields;
}

/** Why a caller who is limited to some domains may not call the function at all; undefined where they may. */
export function whyNot({ domains, select }: Caller, spec: Declaration): string | undefined {
  if (!domains || spec.scope === "server") return undefined;
  const { fields, lists, hasTags } = domainFields(spec);
  if (fields.length + lists.length === 0) return "is not about domains alone";
  if (select === undefined || spec.access === "read") return undefined;
  if (hasTags) return "changes tags, by which its domains are selected";
  return fields.length === 0 ? "changes domains that the call does not name" : undefined;
}

/** Throws `forbidden` for a function that a caller who is limited to some domains may not call at all. */
export function checkFunction(caller: Caller, path: string, spec: Declaration) {
  const why = whyNot(caller, spec);
  if (why === undefined) return;
  const text = `may not call ${path}, which ${why}; it is limited to ${describeLimit(caller)}`;
  throw forbidden(caller, `function:${path}`, text);
}

/**
 * Throws `forbidden` for a domain of the input that is not the caller's, and the reason where that cannot be known.
 * `host` is the hypervisor of names without one.
 */
export async function checkDomains(
  caller: Caller,
  rights: DomainRights,
  spec: Declaration,
  input: object,
  host: string,
) {
  if (!caller.domains) return;
  const isFilter = spec.scope === "fleet" && spec.stream === "sse"; // names only choose among what it sees
  if (isFilter && caller.select !== undefined) return;
  const named = new Map<string, string[]>();
  for (const text of hostedDomains(spec, input)) {
    const [, alias = host, name = text] = /^([^/]*)\/(.*)$/s.exec(text) ?? [];
    named.set(alias, [...(named.get(alias) ?? []), name]);
  }
  await Promise.all([...named].map(([alias, names]) => rights.lookUp(alias, names)));
  for (const [alias, names] of named)
    for (const name of names) checkDomain(caller, name, rights.sees(alias, name));
}

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

/**
 * The answer without the domains that are not the caller's. `total` is counted anew. `host`: of domains of which the
 * answer does not tell their hypervisor.
 */
export function filterDomains<T>(
  caller: Caller,
  spec: Declaration,
  data: T,
  rights: Pick<DomainRights, "sees"> = rightsByName(caller),
  host = "",
): T {
  if (!caller.domains) return data;
  const { lists } = domainFields(spec);
  if (lists.length === 0) return data;
  const filtered = { ...data } as Record<string, unknown>;
  for (const { list, field } of lists) {
    const items = filtered[list] as Record<string, string>[];
    const own = items.filter((item) =>
      rights.sees(hostIn(item) ?? hostIn(filtered) ?? host, `${item[field]}`),
    );
    // a page of a longer list, from which its function has left out others' domains, keeps its total
    if (own.length < items.length) Object.assign(filtered, { [list]: own, total: own.length });
  }
  return filtered as T;
}

/** What a caller may have of an answer. `host`: the call's hypervisor; lists over several tell whose their domains are. */
export function ownPart<T>(
  caller: Caller | undefined,
  rights: DomainRights,
  spec: Declaration,
  data: T,
  host: string,
): T {
  if (!caller?.domains) return data;
  return filterDomains(caller, spec, data, rights, spec.scope === "fleet" ? undefined : host);
}

/** The hypervisor of a domain in a list: its `host`, or that of its path `host/name`. */
function hostIn({ host, path }: Record<string, unknown>): string | undefined {
  if (typeof host === "string") return host;
  return typeof path === "string" ? /^([^/]+)\//.exec(path)?.[1] : undefined;
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
const TAGS = '"x-hypersdk":"tags"';

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
