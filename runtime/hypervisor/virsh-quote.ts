/**
 * Quoting for virsh's own command parser (virsh-facts, section 2). A warm session reads lines, so every
 * value is put in single quotes; control bytes are editing keys to readline unless ^V stands before them.
 */
import { HyperError } from "../core/errors.ts";

export function quote(text: string): string {
  if (text.includes("\0")) throw new HyperError("invalid_input", "a value must not contain NUL");
  const quoted = `'${text.toWellFormed().replaceAll("'", "'\\''")}'`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the bytes that need ^V
  return quoted.replace(/[\x01-\x1f\x7f]/g, (byte) => `\x16${byte}`);
}

/** Needs no quotes; readline spends 1 to 2 µs on each byte (session-frames.ts). */
const PLAIN = /^[\w./:=,-]+$/;

/** An argv as one line for a warm session. `laneOf` has checked the verb, so it needs no quotes. */
export function commandLine([verb, ...rest]: string[]): string {
  return [verb, ...rest.map((one) => (PLAIN.test(one) ? one : quote(one)))].join(" ");
}
