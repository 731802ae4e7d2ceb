/** A caller who is limited to some domains: which fields of a function name them, and which lists hold them. */
import * as z from "zod";
import { type Access, type Caller, checkDomain, forbidden, maySee } from "./caller.ts";

/** What access is decided by in a function's description. */
export interface Described {
  method: "GET" | "POST";
  access: Access;
  input: z.ZodType;
  output: z.ZodType;
  scope?: "server" | "fleet";
}

interface Domains {
  /** Fields of the input that name a domain or several: those with DomainName's mark. */
  fields: string[];
  /** Lists of the answer that hold what belongs to one domain each, by its `name`. */
  lists: string[];
}

/** The lists that hold domains, whatever function answers with them. */
const LISTS = ["domains", "templates"];

const known = new WeakMap<Described, Domains>();

export function domainsOf(spec: Described): Domains {
  const found = known.get(spec) ?? {
    // a field that is read in one way and used in another has its mark on one side alone
    fields: [...new Set([...marked(spec.input, "input"), ...marked(spec.input, "output")])],
    lists: LISTS.filter((name) => schemaOf(spec.output, "output").properties?.[name]),
  };
  known.set(spec, found);
  return found;
}

/** Throws `forbidden` for a domain that is not the caller's, and for what nobody can tell to be about one. */
export function checkDomains(caller: Caller, path: string, spec: Described, input: object) {
  if (!caller.domains) return;
  const { fields, lists } = domainsOf(spec);
  if (fields.length === 0 && lists.length === 0 && spec.scope !== "server") {
    const text = `may not call ${path}, which is not about domains alone; it is limited to ${caller.domains.join(", ")}`;
    throw forbidden(caller, `function:${path}`, text);
  }
  for (const field of fields) {
    const names = [(input as Record<string, unknown>)[field]].flat();
    // `host/name` in a batch
    for (const name of names)
      if (typeof name === "string") checkDomain(caller, name.replace(/^[^/]*\//, ""));
  }
}

/** The answer without the domains that are not the caller's. */
export function filterDomains<T>(caller: Caller, spec: Described, data: T): T {
  if (!caller.domains) return data;
  const { lists } = domainsOf(spec);
  if (lists.length === 0) return data;
  const seen = { ...data } as Record<string, unknown>;
  for (const list of lists) {
    const items = seen[list] as { name: string }[];
    seen[list] = items.filter(({ name }) => maySee(caller, name));
    seen.total = (seen[list] as unknown[]).length;
  }
  return seen as T;
}

const schemaOf = (schema: z.ZodType, io: "input" | "output") =>
  z.toJSONSchema(schema, { io, unrepresentable: "any" });

function marked(input: z.ZodType, io: "input" | "output"): string[] {
  return Object.entries(schemaOf(input, io).properties ?? {})
    .filter(([, field]) => JSON.stringify(field).includes('"x-libvirt":"domain"'))
    .map(([name]) => name);
}
