/** The calls that are being answered, and the streams that are open, for a server that is to end. */
import type { Call } from "./call.ts";

export const callsInFlight = new Set<Call>();
/** They may last for ever, so that nobody waits for their end. */
export const openStreams = new Set<Call>();
/** The WebSockets, which may last as long. */
export const openSockets = new Set<{ end(): void; check(now: number): void }>();
let idle: (() => void) | undefined;

export function callAnswered(call: Call) {
  callsInFlight.delete(call);
  if (callsInFlight.size === 0) idle?.();
}

/** Resolves when no call is being answered. */
export async function allAnswered() {
  if (callsInFlight.size === 0) return;
  await new Promise<void>((resolve) => {
    idle = resolve;
  });
}
