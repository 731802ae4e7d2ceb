/** Waits until the guest of a domain that was started is really there. */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { ejectSeed } from "../cloud-init/eject-seed.ts";
import { readKnown } from "../definitions.ts";
import { throwIfCancelled } from "../rollback.ts";
import { type Element, textOf } from "../xml.ts";
import { type Changes, LOOK_MS, watchChanges } from "./changes.ts";
import { CloudInitResult, readCloudInit } from "./guest-cloud-init.ts";
import {
  askAgent,
  distinct,
  GuestAddress,
  greetSsh,
  hasAgentChannel,
  readOuterAddresses,
} from "./guest-signs.ts";
import { readInterfaces } from "./interface.ts";

export const Timeout = z.int().min(1).max(86_400).default(300).describe("seconds");

export const Wait = z
  .strictObject({
    for: z
      .enum(["state", "agent", "address", "ssh", "cloud-init"])
      .describe(
        "state: the domain runs; agent: QEMU's guest agent answers; address: an IP address is known; ssh: an SSH server answers the hypervisor at one of them; cloud-init: the guest agent tells that cloud-init is done",
      ),
    timeout: Timeout,
    eject: z
      .boolean()
      .default(false)
      .describe("for cloud-init: take the seed out of its drive then, and delete it"),
  })
  .refine((wait) => !wait.eject || wait.for === "cloud-init", {
    path: ["eject"],
    error: 'needs for: "cloud-init", since the guest must have read it',
  });

export type Wait = z.output<typeof Wait>;

/** What was seen of the guest. */
export const Guest = z.object({
  addresses: z.array(GuestAddress),
  seconds: z.number().describe("how long it took"),
  state: z.string().optional().describe("the domain's, where that was waited for"),
  ssh: z
    .object({ address: z.string(), greeting: z.string() })
    .optional()
    .describe("the server that answered"),
  cloud_init: CloudInitResult.optional(),
  ejected: z.boolean().optional().describe("whether the domain had a seed, which is gone now"),
});

export type Guest = z.output<typeof Guest>;

/** A guest can tell any number of addresses. */
const MAX_GREETED = 16;

/** Throws `unsupported` for a domain whose guest cannot be seen in this way. `domain`: its definition. */
export function assertWaitable(domain: Element, wait: Wait) {
  if (wait.for === "state") return;
  const byAgent = wait.for === "agent" || wait.for === "cloud-init";
  if (byAgent && !hasAgentChannel(domain))
    throw new HyperError(
      "unsupported",
      `wait: the domain has no channel of the guest agent (org.qemu.guest_agent.0), by which "${wait.for}" is seen`,
    );
  if (!byAgent && readInterfaces(domain).length === 0)
    throw new HyperError("unsupported", "wait: the domain has no network interface");
}

/**
 * `domain`: the words for `--domain`. `known`: addresses that the guest was told to take, which no lease tells. Throws
 * `timed_out`, which tells what was seen; the domain stays in any case.
 */
export async function waitForGuest(
  ctx: Context,
  domain: string,
  wait: Wait,
  known: string[] = [],
): Promise<Guest> {
  const began = performance.now();
  const { domain: definition } = await readKnown(ctx, domain);
  assertWaitable(definition, wait);
  const name = textOf(definition, "name") ?? domain;
  const given = known.map((address): GuestAddress => {
    return { address, prefix: null, mac: null, source: "static" };
  });
  const withAgent = hasAgentChannel(definition);
  const changes = await watchChanges(ctx, domain);
  try {
    return await untilThere(ctx, domain, wait, { given, withAgent, name, changes, began });
  } finally {
    changes.end();
  }
}

interface Waiting {
  given: GuestAddress[];
  withAgent: boolean;
  name: string;
  changes: Changes;
  began: number;
}

async function untilThere(
  ctx: Context,
  domain: string,
  wait: Wait,
  { given, withAgent, name, changes, began }: Waiting,
): Promise<Guest> {
  /** libvirt tells of a state and of an agent, but of no address. */
  const pause = wait.for === "state" || wait.for === "agent" ? undefined : LOOK_MS;
  for (;;) {
    const { guest, missing } = await look(ctx, domain, wait, { given, withAgent });
    const seconds = Math.round((performance.now() - began) / 100) / 10;
    const errors = guest.cloud_init?.errors ?? [];
    if (errors.length > 0) {
      const text = `wait: cloud-init of domain ${name} has ended with errors: ${errors.join("; ")}`;
      throw new HyperError("command_failed", text, { details: { domain: name, ...guest } });
    }
    if (!missing) {
      const ejected = wait.eject ? { ejected: await ejectSeed(ctx, domain) } : {};
      return { ...guest, seconds, ...ejected };
    }
    throwIfCancelled(ctx);
    const state = (await ctx.virsh(["domstate", "--domain", domain])).trim();
    const details = { domain: name, state, ...guest };
    if (/^(shut off|crashed)$/.test(state))
      throw new HyperError("not_active", `wait: domain ${name} is ${state} by now; ${missing}`, {
        details,
      });
    if (seconds >= wait.timeout) {
      const text = `wait: domain ${name} is there and ${state}, but after ${seconds} s its guest was not: ${missing}`;
      throw new HyperError("timed_out", text, { details });
    }
    ctx.progress({ phase: `waiting for the guest: ${missing}`, percent: null });
    const left = Math.max(1, wait.timeout * 1000 - (performance.now() - began));
    await changes.next(Math.min(pause ?? left, left));
    throwIfCancelled(ctx);
  }
}

interface Seen {
  guest: Omit<Guest, "seconds">;
  /** What is not there yet, in words; undefined once all is. */
  missing?: string | undefined;
}

async function look(
  ctx: Context,
  domain: string,
  wait: Wait,
  { given, withAgent }: { given: GuestAddress[]; withAgent: boolean },
): Promise<Seen> {
  if (wait.for === "state") {
    const state = (await ctx.virsh(["domstate", "--domain", domain])).trim();
    const missing = state === "running" ? undefined : `it is ${state}`;
    return { guest: { addresses: [], state }, missing };
  }
  const agent = withAgent ? await askAgent(ctx, domain) : { silent: "it has no guest agent" };
  const told = "addresses" in agent ? agent.addresses : [];
  const addresses = distinct([...told, ...(await readOuterAddresses(ctx, domain))]);
  if (wait.for === "address")
    return { guest: { addresses }, missing: addresses.length > 0 ? undefined : "no address" };
  if (wait.for === "ssh") return lookForSsh(ctx, addresses, given);
  if ("silent" in agent) return { guest: { addresses }, missing: agent.silent };
  if (wait.for === "agent") return { guest: { addresses } };
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
