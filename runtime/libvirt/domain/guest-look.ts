/** One look at a guest that is waited for: what is seen of it, and what is missing. */
import type { Context } from "../../hypervisor/context.ts";
import { type CloudInitResult, readCloudInit } from "./guest-cloud-init.ts";
import {
  askAgent,
  distinct,
  type GuestAddress,
  greetSsh,
  readOuterAddresses,
} from "./guest-signs.ts";

/** A guest can tell any number of addresses. */
const MAX_GREETED = 16;

type Sign = "state" | "agent" | "address" | "ssh" | "cloud-init";

interface Seen {
  guest: {
    addresses: GuestAddress[];
    state?: string;
    ssh?: { address: string; greeting: string };
    cloud_init?: CloudInitResult;
  };
  /** What is not there yet, in words; undefined once all is. */
  missing?: string | undefined;
}

export async function lookAtGuest(
  ctx: Context,
  domain: string,
  sign: Sign,
  { given, withAgent }: { given: GuestAddress[]; withAgent: boolean },
): Promise<Seen> {
  if (sign === "state") {
    const state = (await ctx.virsh(["domstate", "--domain", domain])).trim();
    const missing = state === "running" ? undefined : `it is ${state}`;
    return { guest: { addresses: [], state }, missing };
  }
  const agent = withAgent ? await askAgent(ctx, domain) : { silent: "it has no guest agent" };
  const told = "addresses" in agent ? agent.addresses : [];
  const addresses = distinct([...told, ...(await readOuterAddresses(ctx, domain))]);
  if (sign === "address")
    return { guest: { addresses }, missing: addresses.length > 0 ? undefined : "no address" };
  if (sign === "ssh") return lookForSsh(ctx, addresses, given);
  if ("silent" in agent) return { guest: { addresses }, missing: agent.silent };
  if (sign === "agent") return { guest: { addresses } };
  const result = await readCloudInit(ctx, domain);
  if ("silent" in result) return { guest: { addresses }, missing: result.silent };
  return { guest: { addresses, cloud_init: result } };
}

async function lookForSsh(
  ctx: Context,
  addresses: GuestAddress[],
  given: GuestAddress[],
): Promise<Seen> {
  const all = distinct([...addresses, ...given]);
  const refusals: string[] = [];
  for (const { address } of all.slice(0, MAX_GREETED)) {
    const answer = await greetSsh(ctx, address);
    if ("greeting" in answer) {
      const ssh = { address, greeting: answer.greeting };
      const found = all.filter((one) => one.source !== "static" || one.address === address);
      return { guest: { addresses: found, ssh } };
    }
    refusals.push(`${address}: ${answer.silent}`);
  }
  const missing =
    refusals.length > 0 ? `no SSH server answers (${refusals.join(", ")})` : "no address";
  return { guest: { addresses }, missing };
}
