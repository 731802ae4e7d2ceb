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
let idle = Promise.withResolvers<void>();

/** A call has come. What it returns is to be called when it is answered. */
export function begin(call: Running): () => void {
  running.add(call);
  return () => {
    running.delete(call);
    if (running.size > 0) return;
    idle.resolve();
    idle = Promise.withResolvers();
  };
}

/** Resolves when no call is being answered. */
export const allAnswered = () => (running.size === 0 ? Promise.resolve() : idle.promise);

export const runningCalls = () => [...running];
