/** Reports the error of a command, and its exit status. */
import { CommanderError } from "commander";
import { HyperError } from "../core/errors.ts";

/** A mistake in the command, found before the call was made. */
export class UsageError extends Error {}

/** Writes the error to standard error, as JSON with `--json`. Returns the exit status. */
export function report(error: Error, json = false): 0 | 1 | 2 {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // commander has printed it
  const known = error instanceof HyperError ? error : undefined;
  const wrong = error instanceof UsageError || known?.code === "invalid_input";
  const code = known?.code ?? (wrong ? "invalid_input" : "internal");
  const text = json
    ? JSON.stringify({ error: error.message, code, ...known?.details })
    : `hypersdk: ${error.message}${known && !wrong ? ` (${code})` : ""}`;
  process.stderr.write(`${text}\n`); // Bun's console colours it
  return wrong ? 2 : 1;
}

/** A batch in which some domains failed has an answer all the same. */
export function reportParts(data: unknown) {
  const { failed } = (data ?? {}) as { failed?: unknown };
  if (typeof failed === "number" && failed > 0) process.exitCode = 1;
}
