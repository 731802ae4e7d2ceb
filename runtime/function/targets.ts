/** The domains that a call is about: a list of their names, or a query that selects them. */
import * as z from "zod";
import { MAX_DOMAINS, QueryText } from "../http/selection.ts";
import { DomainName } from "../libvirt/names.ts";

/** `vm1`, or `kvm1/vm1` for a domain of another hypervisor. A name holds no slash. */
export const Hosted = z
  .string()
  .meta(DomainName.meta() ?? {})
  .refine((text) => text.indexOf("/") !== 0, 'must have a hypervisor before the "/"')
  .transform((text, ctx) => {
    const name = DomainName.safeParse(nameOf(text));
    for (const { message } of name.error?.issues ?? []) ctx.addIssue({ code: "custom", message });
    return text;
  })
  .pipe(z.string());

export const nameOf = (text: string) => text.slice(text.indexOf("/") + 1);

export const Domains = z
  .array(Hosted)
  .min(1, "must name at least one domain")
  .max(MAX_DOMAINS, `must name at most ${MAX_DOMAINS} domains`)
  .refine((names) => new Set(names).size === names.length, "must not name a domain twice")
  .describe("names or UUIDs, at most 1000, each once; `host/name` on another hypervisor");

const SELECT = QueryText.meta({
  "x-hypersdk": "selection",
  description:
    "in the place of domains: a query such as `tag:prod AND state:running`, of the call's hypervisor, or of all with `host:*` in it",
});

export interface Targets {
  domains?: string[] | undefined;
  select?: string | undefined;
}

/** The input of a function that works on many domains: exactly one of `domains` and `select`, and the function's own. */
export const targeted = <S extends z.ZodRawShape>(shape: S) =>
  z
    .strictObject({ domains: Domains.optional(), select: SELECT.optional(), ...shape })
    .superRefine((input, ctx) => {
      const { domains, select } = input as Targets;
      if ((domains === undefined) !== (select === undefined)) return;
      const message =
        domains === undefined
          ? "required, unless select is given in its place"
          : "must not be given with select; give one of the two";
      ctx.addIssue({ code: "custom", path: ["domains"], message });
    });
