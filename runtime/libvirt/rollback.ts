/** Rollback: an operation that fails removes everything that it has made, or names exactly what is left. */
import { HyperError } from "../core/errors.ts";
import type { Context } from "../hypervisor/context.ts";
import { Journal } from "./journal.ts";
import { describeResource, isForLater, removeResource } from "./resource.ts";

/** Called between steps: a caller who has disconnected wants none of the result. */
export function throwIfCancelled({ signal, job }: Pick<Context, "signal" | "job">) {
  if (!signal.aborted) return;
  throw new HyperError("cancelled", job ? "the job was cancelled" : "the client disconnected");
}

/** Runs `steps`. If they fail, everything noted in the journal is removed, the last first. */
export async function withRollback<T>(
  ctx: Context,
  operation: string,
  steps: (journal: Journal) => Promise<T>,
): Promise<T> {
  const journal = new Journal(ctx, operation);
  try {
    const result = await steps(journal);
    await journal.complete();
    return result;
  } catch (error) {
    await journal.assertOurs(); // what is noted there may be another worker's by now
    const left: string[] = [];
    let isReachable = true;
    for (const resource of journal.resources.toReversed()) {
      ctx.log.info(
        `The operation failed: ${describeResource(resource)} is removed, if it was made.`,
      );
      await removeResource(ctx, resource).catch((why: Error) => {
        left.push(`${describeResource(resource)} (${why.message})`);
        if (isForLater(why)) isReachable = false;
      });
    }
    if (ctx.job && !isReachable) throw error; // the job ends once they can be removed
    if (left.length > 0) throw withLeft(error, `left behind: ${left.join(", ")}`, { left });
    await journal.remove();
    throw error;
  }
}

/**
 * Rolls a single step back, then throws the error that made it necessary. `left` names what remains if that
 * fails too.
 */
export async function rollback(
  cause: unknown,
  left: string,
  steps: () => Promise<unknown>,
): Promise<never> {
  try {
    await steps();
  } catch (error) {
    throw withLeft(cause, `${left}: ${(error as Error).message}`);
  }
  throw cause;
}

/** The same error with what is left. The text of an unexpected error is for the log alone. */
export function withLeft(cause: unknown, left: string, details = {}): HyperError {
  const { code, message } =
    cause instanceof HyperError
      ? cause
      : ({ code: "internal", message: "internal error" } as const);
  return new HyperError(code, `${message}; ${left}`, { cause, details });
}
