/** The words of a query: `tag:prod AND (state:running OR NOT "web 1")`. */
import { HyperError } from "../../core/errors.ts";

export const MAX_QUERY_LENGTH = 1000;

export type Token = { at: number } & (
  | { kind: "(" | ")" | "AND" | "OR" | "NOT" }
  /** `field` is undefined for a bare word. In quotes no character is special. */
  | { kind: "term"; field?: string; value: string; isQuoted: boolean }
);

/** The error of a query: what is wrong, and at which character, from 1. */
export function queryError(at: number, text: string): HyperError {
  const position = at + 1;
  return new HyperError("invalid_input", `at character ${position}: ${text}`, {
    details: { position },
  });
}

/** No name has them, and the database, which keeps queries, takes no NUL. */
const UNFIT = /(?![\t\n\r])\p{Cc}|\p{Cs}/u;
const SPACE = /\s+/y;
const FIELD = /([A-Za-z_]+):/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'/sy;
const WORD = /[^\s()"']+/y;
const OPERATOR = /^(and|or|not)$/i;

/** Throws `invalid_input`, which tells the position. */
export function tokensOf(text: string): Token[] {
  if (text.length > MAX_QUERY_LENGTH)
    throw queryError(MAX_QUERY_LENGTH, `a query has at most ${MAX_QUERY_LENGTH} characters`);
  const unfit = text.search(UNFIT);
  if (unfit >= 0)
    throw queryError(unfit, "a query has no control characters, and no halves of characters");
  const tokens: Token[] = [];
  let at = 0;
  const take = (pattern: RegExp) => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match) at = pattern.lastIndex;
    return match;
  };
  for (take(SPACE); at < text.length; take(SPACE)) {
    const begin = at;
    const char = text[at];
    if (char === "(" || char === ")") {
      tokens.push({ kind: char, at });
      at++;
      continue;
    }
    const [, field] = take(FIELD) ?? [];
    const quoted = take(QUOTED);
    const word = quoted ? undefined : take(WORD)?.[0];
    const after = text[at] ?? "";
    if (/["']/.test(after) || (quoted && /[^\s()]/.test(after)))
      throw misplacedQuote(text, at, quoted);
    if (!quoted && word === undefined)
      throw queryError(at, `${field}: needs a value behind the colon`);
    const value = quoted ? withoutBackslashes(quoted[1] ?? quoted[2] ?? "") : `${word}`;
    const name = field?.toLowerCase();
    if (name === undefined && !quoted && OPERATOR.test(value))
      tokens.push({ kind: value.toUpperCase() as "AND" | "OR" | "NOT", at: begin });
    else
      tokens.push({
        ...{ kind: "term", at: begin, value, isQuoted: Boolean(quoted) },
        ...(name !== undefined && { field: name }),
      });
  }
  return tokens;
}

function misplacedQuote(text: string, at: number, quoted: RegExpExecArray | null): HyperError {
  if (quoted) return queryError(at, "a space or an operator must follow a closing quote");
  const quote = text[at] ?? "";
  const isOpen = !text.slice(at + 1).includes(quote);
  if (isOpen) return queryError(at, `this ${quote} is not closed`);
  return queryError(at, "a quote stands at the begin of a value, and none within it");
}

/** A backslash makes the character behind it plain. */
const withoutBackslashes = (text: string) => text.replace(/\\(.)/gs, "$1");
