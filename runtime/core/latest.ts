/** What is watched, as events for one who watches: only the latest counts, so that nothing waits for a slow one. */
import { setTimeout as sleep } from "node:timers/promises";
import type { StreamEvent } from "./stream.ts";
import type { Watched } from "./watched.ts";

/** Changes that come together are told once. */
const TOGETHER_MS = 50;

/** Tells what `take` returns, unless it is undefined, at first and after each change, until the signal comes. */
export async function* latest<T>(
  watched: Watched<() => void>[],
  take: () => T | undefined | Promise<T | undefined>,
  signal: AbortSignal,
  event: string,
): AsyncGenerator<StreamEvent<T>, undefined> {
  let wake = Promise.withResolvers<void>();
  const told = () => wake.resolve();
  signal.addEventListener("abort", told, { once: true });
  try {
    for (const one of watched) one.join(told);
    while (!signal.aborted) {
      const data = await take();
      if (data !== undefined) yield { event, data };
      await wake.promise;
      await sleep(TOGETHER_MS, undefined, { signal }).catch(() => {});
      wake = Promise.withResolvers();
    }
  } finally {
    signal.removeEventListener("abort", told);
    for (const one of watched) one.leave(told);
  }
  return undefined;
}
