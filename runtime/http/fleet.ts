/** One read on many hypervisors: `?host=kvm1,kvm2` or `?host=*`, each with its own answer. */
import pLimit from "p-limit";
import type { Declaration } from "../access/domain-scope.ts";
import { errorFields, HyperError, toHyperError } from "../core/errors.ts";
import { type Logger, log as own } from "../core/log.ts";
import { settings, unknownHypervisor } from "../core/settings.ts";

const MAX_CONCURRENT_HOSTS = 64;

/** The aliases that a request names; undefined when it names one, or none. Throws `invalid_input`. */
export function severalHosts(
  text: string | undefined,
  { hosts } = settings(),
): string[] | undefined {
  if (text === "*") return Object.keys(hosts);
  if (!text?.includes(",")) return undefined;
  const named = [...new Set(text.split(",").map((alias) => alias.trim()))];
  const unknown = named.filter((alias) => !Object.hasOwn(hosts, alias));
  if (unknown.length === 0) return named;
  throw unknownHypervisor(unknown);
}

/** Whether a call names several hypervisors, of whatever server: a list of aliases, or `*` for all. */
export const isSeveral = (text = "") => text === "*" || text.includes(",");

/** Whether a call that names no hypervisor is about all of them, and not about the default one. */
export const isOfAll = ({
  scope,
  stream,
  media,
}: Pick<Declaration, "scope" | "stream"> & { media?: string }) =>
  scope === "server" || (scope === "fleet" && (stream === "sse" || media === undefined));

/** The error of a change that names several hypervisors. */
export const oneHypervisorOnly = () =>
  new HyperError("invalid_input", "host: a call that changes something takes one hypervisor");

/** The error of an answer that cannot stand among those of others: a stream, or a page. */
export const oneOnly = ({ stream }: { stream?: unknown }) =>
  new HyperError("invalid_input", `host: a ${stream ? "stream" : "page"} takes one hypervisor`);

/** One hypervisor that fails costs the others nothing. */
export async function onEach<T>(
  hosts: string[],
  work: (host: string) => Promise<T>,
  log: Logger = own,
) {
  const results = await pLimit(MAX_CONCURRENT_HOSTS).map(hosts, async (host) => {
    try {
      return { host, status: "success" as const, data: await work(host) };
    } catch (error) {
      return { host, status: "error" as const, ...failure(host, log, error) };
    }
  });
  const successful = results.filter(({ status }) => status === "success").length;
  const total = results.length;
  return { hosts: results, total, successful, failed: total - successful };
}

function failure(host: string, log: Logger, error: unknown) {
  const known = toHyperError(error);
  if (known.code === "internal") log.error({ host, error }, "one of several hypervisors");
  return errorFields(known);
}
