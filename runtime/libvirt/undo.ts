/** Nothing is half-made: a failed operation removes what it had begun, or says exactly what is left. */
import { HyperError } from "../core/errors.ts";

/** Undo, then throw the error that made it necessary. `left` says what remains when undoing fails too. */
export async function undo(
  cause: unknown,
  left: string,
  steps: () => Promise<unknown>,
): Promise<never> {
  try {
    await steps();
  } catch (error) {
    const { code, message } =
      cause instanceof HyperError
        ? cause
        : ({ code: "internal", message: "internal error" } as const);
    throw new HyperError(code, `${message}; ${left}: ${(error as Error).message}`, { cause });
  }
  throw cause;
}
