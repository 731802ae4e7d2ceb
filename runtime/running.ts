/** The calls that are being answered, for a server that is to end. */
export interface Running {
  /** In the answer's `X-Request-Id`, and in every log line of this call. */
  id: string;
  /** Ends what can be undone. */
  abort(): void;
  /** Not answered, and never will be. */
  lost(): void;
}

const running = new Set<Running>();
let idle: (() => void) | undefined;

/** A call has come. */
export const begin = (call: Running) => running.add(call);

/** It is answered. */
export function end(call: Running) {
  running.delete(call);
  if (running.size === 0) idle?.();
}

/** Resolves when no call is being answered. */
export async function allAnswered() {
  if (running.size === 0) return;
  await new Promise<void>((resolve) => {
    idle = resolve;
  });
}

export const runningCalls = () => [...running];
