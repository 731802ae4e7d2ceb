/** A bash command line as words, and a word as bash needs it back. */

export interface Line {
  words: string[];
  /** The last word, as it is meant and as it is typed, and the quote that is open in it. */
  current: string;
  typed: string;
  quote: "" | "'" | '"';
}

export function splitLine(line: string): Line {
  const words: string[] = [];
  let [current, typed, quote, begun] = ["", "", "" as Line["quote"], false];
  for (let i = 0; i < line.length; i++) {
    const char = line[i] as string;
    if (quote === "" && /\s/.test(char)) {
      if (begun) words.push(current);
      [current, typed, begun] = ["", "", false];
      continue;
    }
    typed += char;
    begun = true;
    const next = line[i + 1] ?? "";
    if (char === quote) quote = "";
    else if (quote === "" && (char === "'" || char === '"')) quote = char;
    else if (char === "\\" && (quote === "" || (quote === '"' && /["\\$`]/.test(next)))) {
      current += next;
      typed += next;
      i++;
    } else current += char;
  }
  return { words, current, typed, quote };
}

/**
 * What replaces `last`, the part of the word that bash completes (it breaks words at `=` and `:` too);
 * undefined when the word does not go on from what is typed.
 */
export function reply({ current, typed, quote }: Line, last: string, value: string, open = false) {
  const [whole, meant] = quote ? [value, current] : [escaped(value), typed];
  const before = meant.slice(0, meant.length - last.length);
  if (!meant.endsWith(last) || !whole.startsWith(before)) return undefined;
  const rest = whole.slice(before.length);
  if (quote === "") return open ? rest : `${rest} `;
  return quote === "'" ? rest.replaceAll("'", "'\\''") : rest.replace(/["\\$`]/g, "\\$&"); // bash ends the quote
}

/** A key and its brackets are left as they are typed. */
function escaped(value: string): string {
  const [key = ""] = /^[\w[\]-]+:?=/.exec(value) ?? [];
  return key + value.slice(key.length).replace(/[^\p{L}\p{N}_@%+=:,./-]/gu, "\\$&");
}
