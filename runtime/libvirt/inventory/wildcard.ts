/**
 * Texts with `*` (any text) and `?` (any character) from requests. Each is matched in at most pattern × text steps, where
 * a regular expression with many stars takes years.
 */

export interface Pattern {
  /** The text itself, where it has no wildcard. */
  literal?: string;
  /** Each character as it is; `null` for `*`, `undefined` for `?`. */
  parts: (string | null | undefined)[];
}

/** A text in which `*` and `?` are wildcards; in quotes they stand for themselves. */
export function patternOf(text: string, isQuoted: boolean): Pattern {
  const wild: Record<string, null | undefined> = isQuoted ? {} : { "*": null, "?": undefined };
  const parts = [...text].map((char) => (Object.hasOwn(wild, char) ? wild[char] : char));
  if (parts.every((part) => typeof part === "string")) return { literal: text, parts };
  return { parts: parts.filter((part, i) => part !== null || parts[i - 1] !== null) };
}

export function matchesPattern({ literal, parts }: Pattern, text: string): boolean {
  if (literal !== undefined) return literal === text;
  const chars = [...text];
  let at = 0;
  let next = 0;
  /** Behind the last star, and where its text ends so far. */
  let star: { part: number; char: number } | undefined;
  while (at < chars.length) {
    const part = parts[next];
    if (next < parts.length && part === null) {
      star = { part: ++next, char: at };
    } else if (next < parts.length && (part === undefined || part === chars[at])) {
      at++;
      next++;
    } else if (star) {
      at = ++star.char;
      next = star.part;
    } else return false;
  }
  return parts.slice(next).every((part) => part === null);
}
