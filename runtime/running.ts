/** The calls that are being answered: for their place in the log, and for a server that is to end. */
import { AsyncLocalStorage } from "node:async_hooks";

export interface Running {
  /** In the answer's `X-Request-Id`, and in every log line of this call. */
  id: string;
  /** Ends what can be undone. */
  abort(): void;
  /** Not answered, and never will be. */
  lost(): void;
}

const running = new Set<Running>();
/**
 * In whose context code runs. `node:async_hooks` takes a start 1.5 ms, so the first call goes without: of
 * what has no context, it is the only one.
 */
let contexts: AsyncLocalStorage<Running> | undefined;
let first: Running | undefined;
let idle = Promise.withResolvers<void>();

export const requestId = (): string | undefined => (contexts?.getStore() ?? first)?.id;

let begun = false;

/** Do the work of one call. */
export async function during(call: Running, work: () => Promise<void>) {
  running.add(call);
  try {
    if (begun) {
      contexts ??= new AsyncLocalStorage();
      await contexts.run(call, work);
    } else {
      begun = true;
      first = call;
      await work();
    }
  } finally {
    running.delete(call);
    if (first === call) first = undefined;
    if (running.size === 0) {
      idle.resolve();
      idle = Promise.withResolvers();
    }
  }
}

/** Resolves when no call is being answered. */
export const allAnswered = () => (running.size === 0 ? Promise.resolve() : idle.promise);

export const runningCalls = () => [...running];
