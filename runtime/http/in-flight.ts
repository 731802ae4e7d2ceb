/** The calls that are being answered, for a server that is to end. */
import type { Call } from "./call.ts";

export const callsInFlight = new Set<Call>();
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
