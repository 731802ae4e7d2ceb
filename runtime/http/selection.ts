/** Domains that a call selects by a query in place of a list of names. */
import * as z from "zod";
import { type ErrorCode, HyperError } from "../core/errors.ts";
import type { Context } from "../hypervisor/context.ts";
import { mayMatchHost, parseQuery, select } from "../libvirt/inventory/query.ts";
import { MAX_QUERY_LENGTH } from "../libvirt/inventory/tokens.ts";
import type { Vm } from "../libvirt/inventory/vm.ts";
import { readInventory, Unreachable } from "./inventory.ts";

export const MAX_DOMAINS = 1000;

/** A query, refused with the position of what is wrong. */
export const QueryText = z
  .string()
  .max(MAX_QUERY_LENGTH, `must have at most ${MAX_QUERY_LENGTH} characters`)
  .superRefine((text, ctx) => {
    try {
      parseQuery(text);
    } catch (error) {
      if (!(error instanceof HyperError)) throw error;
      ctx.addIssue({ code: "custom", message: error.message });
    }
  });

/** What a query stood for. */
export const Selected = z.object({
  query: z.string(),
  hosts: z.array(z.string()).describe("the hypervisors whose domains were asked for"),
  domains: z.array(z.string()).describe("`host/name` of each that matched"),
  unknown: z
    .array(z.string())
    .describe("`host/name` of those of which it is not known; nothing was done with them"),
  unreachable: z.array(Unreachable).describe("hypervisors whose domains are not known"),
});

export type Selected = z.output<typeof Selected>;

export const pathOf = ({ host, name }: Pick<Vm, "host" | "name">) => `${host}/${name}`;

/**
 * Of the call's hypervisor, as a name alone is; a query that names `host:` is about all of them. A caller who is limited
 * to some domains selects among those. Throws `not_found` where none matches.
 */
export async function resolveSelection(ctx: Context, text: string): Promise<Selected> {
  const selected = await readSelection(
    ctx,
    text,
    parseQuery(text).fields.has("host") ? ctx.hosts : [ctx.host],
  );
  const { domains } = selected;
  if (domains.length > MAX_DOMAINS) {
    const error = `select: ${domains.length} domains match; a call takes at most ${MAX_DOMAINS}`;
    throw new HyperError("invalid_input", error);
  }
  if (domains.length === 0) throw nothing(selected);
  return selected;
}

/** Of these hypervisors, as far as the query may be about them. */
export async function readSelection(
  ctx: Context,
  text: string,
  among: string[],
): Promise<Selected> {
  const query = parseQuery(text);
  const hosts = among.filter((host) => mayMatchHost(query, host));
  const { vms, unreachable } = await readInventory(ctx, hosts);
  const { matching, unknown } = select(query, vms);
  const [domains, unsure] = [matching.map(pathOf), unknown.map(pathOf)];
  return { query: text, hosts, domains, unknown: unsure, unreachable };
}

function nothing(selected: Selected): HyperError {
  const { hosts, unreachable, unknown } = selected;
  const [first] = unreachable;
  if (first && unreachable.length === hosts.length)
    return new HyperError(first.code as ErrorCode, first.error, { details: { selected } });
  const where = hosts.length > 0 ? `on ${hosts.join(", ")}` : "on any hypervisor";
  const rest = [
    ...(unknown.length > 0 ? [`of ${unknown.length} it is not known`] : []),
    ...unreachable.map(({ host }) => `${host} cannot be reached`),
  ];
  const text = [`select: no domain ${where} matches`, ...rest].join("; ");
  return new HyperError("not_found", text, { details: { selected } });
}
