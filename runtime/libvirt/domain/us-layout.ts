/** The keys of a US keyboard, by the characters that they type, under Linux' names. */
import { HyperError } from "../../core/errors.ts";

const SHIFT = "KEY_LEFTSHIFT";

/** The character of each key without shift and with it. */
const PUNCTUATION: Record<string, string> = {
  ...{ "1!": "1", "2@": "2", "3#": "3", "4$": "4", "5%": "5", "6^": "6", "7&": "7", "8*": "8" },
  ...{ "9(": "9", "0)": "0", "-_": "MINUS", "=+": "EQUAL", "[{": "LEFTBRACE" },
  ...{ "]}": "RIGHTBRACE", ";:": "SEMICOLON", "'\"": "APOSTROPHE", "`~": "GRAVE" },
  ...{ "\\|": "BACKSLASH", ",<": "COMMA", ".>": "DOT", "/?": "SLASH" },
};

const KEYS = new Map<string, string[]>([
  [" ", ["KEY_SPACE"]],
  ["\n", ["KEY_ENTER"]],
  ["\t", ["KEY_TAB"]],
]);
for (const [[plain = "", shifted = ""], name] of Object.entries(PUNCTUATION)) {
  KEYS.set(plain, [`KEY_${name}`]);
  KEYS.set(shifted, [SHIFT, `KEY_${name}`]);
}
for (const letter of "abcdefghijklmnopqrstuvwxyz") {
  const key = `KEY_${letter.toUpperCase()}`;
  KEYS.set(letter, [key]);
  KEYS.set(letter.toUpperCase(), [SHIFT, key]);
}

/** For each character the keys that are pressed together. Throws `invalid_input` for one that the layout has not. */
export function keysOf(text: string): string[][] {
  const characters = [...text.replaceAll("\r\n", "\n")];
  const missing = [...new Set(characters.filter((one) => !KEYS.has(one)))];
  if (missing.length === 0) return characters.map((one) => KEYS.get(one) ?? []);
  const shown = missing.slice(0, 10).map((one) => JSON.stringify(one));
  const allowed = "only printable ASCII, line breaks and tabs can be typed";
  throw new HyperError(
    "invalid_input",
    `text: a US keyboard has no key for ${shown.join(", ")}; ${allowed}`,
  );
}
