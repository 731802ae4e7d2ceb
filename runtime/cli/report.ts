/** How the command line ends that did not do what it was told. */
import { CommanderError } from "commander";
import { HyperError } from "../core/errors.ts";

/** The person's mistake, found before anything was asked for. */
export class UsageError extends Error {}

/** Say it on standard error, as JSON if asked for; returns the exit status. */
export function report(error: Error, json = false): 0 | 1 | 2 {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // it has been said
  const known = error instanceof HyperError ? error : undefined;
  const wrong = error instanceof UsageError || known?.code === "invalid_input";
  const code = known?.code ?? (wrong ? "invalid_input" : "internal");
  const text = json
    ? JSON.stringify({ error: error.message, code, ...known?.details })
    : `hypersdk: ${error.message}${known && !wrong ? ` (${code})` : ""}`;
  process.stderr.write(`${text}\n`); // Bun's console colours it
  return wrong ? 2 : 1;
}
