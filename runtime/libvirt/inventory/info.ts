/** One domain of the inventory in detail. */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { readDefinitions } from "../definitions.ts";
import { DomainDetails, readDomain } from "../domain/details.ts";
import { domainRef } from "../domain/domain.ts";
import {
  askAgent,
  distinct,
  GuestAddress,
  hasAgentChannel,
  readOuterAddresses,
} from "../domain/guest-signs.ts";
import { parseXml } from "../xml.ts";
import { factsIn } from "./facts.ts";
import { VmView } from "./view.ts";

export const VmInfo = DomainDetails.extend({
  ...VmView.pick({ path: true, host: true, power_state: true, guest_os: true }).shape,
  ...VmView.pick({ memory_mb: true, num_cpu: true, storage_bytes: true, tags: true }).shape,
  addresses: z
    .array(GuestAddress)
    .nullable()
    .describe("as the guest agent, leases and neighbours tell; null where none of them does"),
  agent: z.string().nullable().describe("why the guest agent tells nothing"),
});

/** Throws `not_found`. */
export async function readVmInfo(ctx: Context, name: string): Promise<z.input<typeof VmInfo>> {
  const ref = await domainRef(ctx, name);
  const [details, [definition]] = await Promise.all([
    readDomain(ctx, name, ref),
    readDefinitions(ctx, [ref]),
  ]);
  const text = definition instanceof HyperError ? undefined : definition?.text;
  const facts = text === undefined ? undefined : factsIn(text);
  return {
    ...details,
    ...{ path: `${ctx.host}/${details.name}`, host: ctx.host, power_state: details.state },
    ...{ guest_os: facts?.os || null, memory_mb: details.memory_kb / 1024 },
    ...{ num_cpu: details.vcpus, storage_bytes: null, tags: facts?.tags ?? null },
    ...(await readAddresses(ctx, ref, details.state, text)),
  };
}

async function readAddresses(ctx: Context, ref: string, state: string, text: string | undefined) {
  if (state === "shut off" || state === "crashed")
    return { addresses: [], agent: `it is ${state}` };
  const outer = await readOuterAddresses(ctx, ref);
  const withAgent = text !== undefined && hasAgentChannel(parseXml(text, "domain"));
  const agent = withAgent
    ? await askAgent(ctx, ref)
    : { silent: "the domain has no channel of the guest agent" };
  const told = "addresses" in agent ? agent.addresses : [];
  const addresses = distinct([...told, ...outer]);
  const isTold = addresses.length > 0 || "addresses" in agent;
  return { addresses: isTold ? addresses : null, agent: "silent" in agent ? agent.silent : null };
}
