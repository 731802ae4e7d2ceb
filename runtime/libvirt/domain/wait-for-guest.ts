/** Waits until the guest of a domain that was started is really there. */
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { HyperError, isLost } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { ejectSeed } from "../cloud-init/eject-seed.ts";
import { readKnown } from "../definitions.ts";
import { throwIfCancelled } from "../rollback.ts";
import { type Element, textOf } from "../xml.ts";
import { type Changes, LOOK_MS, watchChanges } from "./changes.ts";
import { CloudInitResult } from "./guest-cloud-init.ts";
import { lookAtGuest } from "./guest-look.ts";
import { GuestAddress, hasAgentChannel } from "./guest-signs.ts";
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
  const over = began + wait.timeout * 1000;
  const { domain: definition } = await patiently(ctx, over, () => readKnown(ctx, domain));
  assertWaitable(definition, wait);
  const name = textOf(definition, "name") ?? domain;
  const given = known.map((address): GuestAddress => {
    return { address, prefix: null, mac: null, source: "static" };
  });
  const withAgent = hasAgentChannel(definition);
  const changes = await patiently(ctx, over, () => watchChanges(ctx, domain));
  try {
    return await untilThere(ctx, domain, wait, { given, withAgent, name, changes, began, over });
  } finally {
    changes.end();
  }
}

/** A hypervisor that is lost may be back before the time is over; its guests run on meanwhile. */
async function patiently<T>(ctx: Context, over: number, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const mayCome = error instanceof HyperError && isLost(error.code);
      if (!mayCome || performance.now() >= over) throw error;
      throwIfCancelled(ctx);
      ctx.progress({ phase: `waiting for the hypervisor: ${error.message}`, percent: null });
    }
    await sleep(LOOK_MS, undefined, { signal: ctx.signal }).catch(() => {});
    throwIfCancelled(ctx);
  }
}

interface Waiting {
  given: GuestAddress[];
  withAgent: boolean;
  name: string;
  changes: Changes;
  began: number;
  /** When it ends at the latest. */
  over: number;
}

async function untilThere(
  ctx: Context,
  domain: string,
  wait: Wait,
  { given, withAgent, name, changes, began, over }: Waiting,
): Promise<Guest> {
  /** libvirt tells of a state and of an agent, but of no address. */
  const pause = wait.for === "state" || wait.for === "agent" ? undefined : LOOK_MS;
  for (;;) {
    const look = () => lookAtGuest(ctx, domain, wait.for, { given, withAgent });
    const { guest, missing } = await patiently(ctx, over, look);
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
    const readState = () => ctx.virsh(["domstate", "--domain", domain]);
    const state = (await patiently(ctx, over, readState)).trim();
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
    const left = Math.max(1, over - performance.now());
    await changes.next(Math.min(pause ?? left, left));
    throwIfCancelled(ctx);
  }
}
