/** Follows a job to its end as `hypersdk call` follows a call. */

import { openJob } from "../client/job.ts";
import type { Call, JobHandle, JobView } from "../client/types.ts";
import type { HyperError } from "../core/errors.ts";
import type { ProgressUpdate } from "../core/progress.ts";
import { watched } from "./progress.ts";

const CANCELLING = "cancelling; what it has made is removed. Ctrl-C again leaves it alone";

interface Following {
  quiet?: boolean;
  /** Told of each look. */
  onLook?: (job: JobView) => Promise<void>;
}

/** Resolves to the job and the data of its call; throws what the call would have thrown. */
export async function follow(
  call: Call,
  job: JobView,
  { quiet = false, onLook }: Following = {},
): Promise<{ job: JobView; data: unknown }> {
  const handle = openJob(call, job.id);
  let last = job;
  const data = await watched(
    job.function.slice(1),
    (signal, progress) => {
      signal.addEventListener("abort", () => void cancel(handle), { once: true });
      return handle.wait({
        async onLook(seen) {
          last = seen;
          progress(updateOf(seen));
          await onLook?.(seen);
        },
      });
    },
    { quiet, cancelling: CANCELLING },
  );
  return { job: last, data };
}

async function cancel(job: JobHandle) {
  await job.cancel().catch(({ code, message }: HyperError) => {
    if (code === "not_active") return; // it has just ended
    process.stderr.write(`hypersdk: it could not be cancelled: ${message}\n`);
  });
}

/** What the bar shows of a job. */
function updateOf({ state, waiting_for, progress }: JobView): ProgressUpdate {
  if (state === "queued") return { phase: `waits for ${waiting_for ?? "a worker"}` };
  const { phase, percent, bytes, total } = progress;
  return {
    phase: state === "running" ? (phase ?? state) : state,
    percent,
    ...(bytes !== null && { bytes }),
    ...(total !== null && { total }),
  };
}
