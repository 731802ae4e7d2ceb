/** A job, as whoever has submitted it holds it: by calls alone, so that it is the same here and of a server. */
import { type ErrorCode, HyperError } from "../core/errors.ts";
import { dataOf, errorOf } from "./body.ts";
import type { Call, JobHandle, JobView, WaitOptions } from "./types.ts";

/** A first look comes soon, since many jobs are short; later ones once a second. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1000;
/** A server that is started anew, and its database, are away for a while; the job is not. */
const PATIENCE_MS = 60_000;
const AWAY: ErrorCode[] = ["unreachable", "busy", "function_unavailable", "rate_limited"];

/** The job of an ID. Nothing is asked before its first use. `D` is the data that the call would resolve to. */
export function openJob<D = unknown>(call: Call, id: string): JobHandle<D> {
  return {
    id,
    state: async () => (await call("GET /job", { id })).state,
    wait: async (options = {}) => resultOf(await ended(call, id, options)) as D,
    async cancel() {
      const { errors } = await call("POST /jobs/cancel", { job_ids: [id] });
      const refused = errors[id];
      if (refused) throw new HyperError(refused.code as ErrorCode, refused.error);
    },
  };
}

/** Looks at a job until it has ended. Throws `not_found`, and what a signal says; the job itself goes on then. */
async function ended(call: Call, id: string, { signal, onProgress, onLook }: WaitOptions) {
  let awaySince: number | undefined;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(LONGEST_PAUSE_MS, pause * 1.5)) {
    if (signal?.aborted) throw givenUp(signal);
    try {
      const job = await call("GET /job", { id }, { signal });
      awaySince = undefined;
      await onLook?.(job);
      if (job.progress.phase !== null) onProgress?.(job.progress);
      if (job.ended_at !== null) return job;
    } catch (error) {
      awaySince ??= Date.now();
      const isAway = error instanceof HyperError && AWAY.includes(error.code);
      if (!isAway || Date.now() - awaySince > PATIENCE_MS) throw error;
    }
    await sleep(pause, signal);
  }
}

/** What the call itself would have resolved to. Throws what it would have thrown. */
export function resultOf({ state, http_status, result, error }: JobView): unknown {
  if (state === "completed") return dataOf(result as Record<string, unknown>);
  throw errorOf(http_status ?? 500, error as Record<string, unknown>);
}

function givenUp({ reason }: AbortSignal) {
  const late = (reason as Error | undefined)?.name === "TimeoutError";
  const text = "the job is no longer waited for; it goes on";
  return new HyperError(late ? "timed_out" : "cancelled", text);
}

/** Browsers have no node:timers. */
function sleep(ms: number, signal: AbortSignal | undefined) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const wake = () => resolve();
  signal?.addEventListener("abort", wake, { once: true });
  return promise.finally(() => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", wake);
  });
}
