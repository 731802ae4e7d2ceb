/** Waits until a guest that was asked to reboot has begun anew, which events alone tell, and is there again. */
import { HyperError } from "../../core/errors.ts";
import type { FleetEvent } from "../../events/fleet-event.ts";
import type { Context } from "../../hypervisor/context.ts";
import { readKnown } from "../definitions.ts";
import { throwIfCancelled } from "../rollback.ts";
import { type Changes, watchChanges } from "./changes.ts";
import { assertWaitable, type Guest, type Wait, waitForGuest } from "./wait-for-guest.ts";

/** Asks with `ask`, and waits. Throws `unsupported` before it asks where no events are heard. */
export async function rebootAndWait(
  ctx: Context,
  domain: string,
  wait: Wait,
  ask: () => Promise<unknown>,
): Promise<Guest> {
  assertWaitable((await readKnown(ctx, domain)).domain, wait);
  const changes = await watchChanges(ctx, domain);
  try {
    if (!changes.heard) {
      const text = "wait: the events of this hypervisor are not heard, by which a reboot is seen";
      throw new HyperError("unsupported", text);
    }
    await settled(changes);
    const began = performance.now();
    await ask();
    await rebooted(ctx, changes, wait.timeout);
    const taken = (performance.now() - began) / 1000;
    const timeout = Math.max(1, Math.ceil(wait.timeout - taken));
    const guest = await waitForGuest(ctx, domain, { ...wait, timeout });
    return { ...guest, seconds: Math.round((performance.now() - began) / 100) / 10 };
  } finally {
    changes.end();
  }
}

/** QEMU tells a reset twice, so that the second event of one before would be taken for that of this one. */
async function settled(changes: Changes) {
  for (let n = 0; n < MAX_LOOKS && (await changes.next(QUIET_MS)).length > 0; n++);
}

const QUIET_MS = 200;
const MAX_LOOKS = 10;

/** A domain may be started anew in place of a reset. */
const isReboot = (event: FleetEvent) =>
  event.kind === "domain" && (event.event === "reboot" || event.action === "started");

async function rebooted(ctx: Context, changes: Changes, timeoutSeconds: number) {
  const deadline = performance.now() + timeoutSeconds * 1000;
  while (performance.now() < deadline) {
    const events = await changes.next(Math.max(1, deadline - performance.now()));
    if (events.some(isReboot)) return;
    throwIfCancelled(ctx);
  }
  const text = `asked to reboot, but it has not within ${timeoutSeconds} s`;
  throw new HyperError("timed_out", text);
}
