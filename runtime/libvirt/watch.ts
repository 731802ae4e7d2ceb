/** Looks how far a command is that does not tell itself, once a second while it runs. */
import type { ProgressUpdate } from "../core/progress.ts";
import type { Context } from "../hypervisor/context.ts";

const INTERVAL_MS = 1000;

/** Runs `work`. What `look` sees meanwhile is told; a look that fails tells nothing, and is in the log. */
export async function watched<T>(
  { progress, log }: Pick<Context, "progress" | "log">,
  look: () => Promise<ProgressUpdate | undefined>,
  work: () => Promise<T>,
): Promise<T> {
  let isOver = false;
  let timer: NodeJS.Timeout | undefined;
  const lookAgain = async () => {
    try {
      const update = await look();
      if (update && !isOver) progress(update);
    } catch (error) {
      log.debug({ error }, "How far the command is cannot be seen now.");
    }
    if (!isOver) timer = setTimeout(lookAgain, INTERVAL_MS);
  };
  timer = setTimeout(lookAgain, INTERVAL_MS);
  try {
    return await work();
  } finally {
    isOver = true;
    clearTimeout(timer);
  }
}
