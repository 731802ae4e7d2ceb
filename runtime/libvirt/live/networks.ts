/** The networks of a hypervisor with what each is, as they change. */
import * as z from "zod";
import { latest } from "../../core/latest.ts";
import type { Context } from "../../hypervisor/context.ts";
import { ListedNetwork, listNetworks } from "../network/list.ts";
import { Network, readNetwork } from "../network/network.ts";
import { readingOf } from "./reading.ts";

/** Of more, only what the list says is read. */
const MAX_DETAILS = 100;

export const LiveNetworks = z.object({
  networks: z
    .array(
      ListedNetwork.extend({
        details: Network.nullable().describe(
          `null beyond the first ${MAX_DETAILS}, and for one that has just gone`,
        ),
      }),
    )
    .nullable()
    .describe("null where they were never read"),
  error: z
    .string()
    .nullable()
    .describe("why they cannot be read now; then the list is an older one"),
});

async function read(ctx: Context) {
  const networks = await listNetworks(ctx);
  const details = networks
    .slice(0, MAX_DETAILS)
    .map(({ name }) => readNetwork(ctx, name).catch(() => null));
  const all = await Promise.all(details);
  return networks.map((network, i) => ({ ...network, details: all[i] ?? null }));
}

export function watchNetworks(host: string, signal: AbortSignal) {
  const reading = readingOf("networks", { host, kinds: ["network"], read });
  const take = () => {
    const { value, error } = reading;
    return value || error !== null ? { networks: value ?? null, error } : undefined;
  };
  return latest([reading], take, signal, "networks");
}
