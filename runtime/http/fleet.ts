/** One read on many hypervisors: `?host=kvm1,kvm2` or `?host=*`, each with its own answer. */
import pLimit from "p-limit";
import * as z from "zod";
import { HyperError, INTERNAL } from "../core/errors.ts";
import { type Logger, log as own } from "../core/log.ts";
import { settings, unknownHypervisor } from "../core/settings.ts";

/** Hypervisors that one request asks at once. */
const AT_ONCE = 64;

/** Whether a request names several hypervisors: a list of aliases, or `*` for all. */
export const isSeveral = (text = "") => text === "*" || text.includes(",");

/** The aliases that a request names; undefined when it names one, or none. Throws `invalid_input`. */
export function severalHosts(text: string | undefined, method = "GET"): string[] | undefined {
  if (text === undefined || !isSeveral(text)) return undefined;
  const { hosts } = settings();
  const listed = [...new Set(text.split(",").map((alias) => alias.trim()))];
  const named = text === "*" ? Object.keys(hosts) : listed;
  const unknown = named.filter((alias) => !Object.hasOwn(hosts, alias));
  if (unknown.length > 0) throw unknownHypervisor(unknown);
  if (method === "GET") return named;
  const problem = "host: a call that changes something takes one hypervisor";
  throw new HyperError("invalid_input", problem);
}

/** `data` of an answer for several hypervisors, in the order asked for. */
export const fleetResult = (data: z.ZodType) =>
  z.object({
    hosts: z.array(
      z.union([
        z.object({ host: z.string(), status: z.literal("success"), data }),
        z.object({
          host: z.string(),
          status: z.literal("error"),
          error: z.string(),
          code: z.string(),
        }),
      ]),
    ),
    total: z.int(),
    successful: z.int(),
    failed: z.int(),
  });

/** One hypervisor that fails costs the others nothing. */
export async function onEach<T>(
  hosts: string[],
  work: (host: string) => Promise<T>,
  log: Logger = own,
) {
  const results = await pLimit(AT_ONCE).map(hosts, async (host) => {
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
  if (error instanceof HyperError) {
    return { error: error.message, code: error.code as string, ...error.details };
  }
  log.error({ host, error }, "one of several hypervisors");
  return { error: INTERNAL, code: "internal" };
}
