/** The calls that are being answered, for a server that is to end. */
import type { Call } from "./call.ts";

const calls = new Set<Call>();
let idle: (() => void) | undefined;

export const callsInFlight = () => [...calls];

/** Keeps a call among them until its answer is made. */
export async function inFlight(call: Call, answer: () => Promise<void>) {
  calls.add(call);
  try {
    await answer();
  } finally {
    calls.delete(call);
    if (calls.size === 0) idle?.();
  }
}

/** Resolves when no call is being answered. */
export async function allAnswered() {
  if (calls.size === 0) return;
  await new Promise<void>((resolve) => {
    idle = resolve;
  });
}
