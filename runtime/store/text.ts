/** PostgreSQL keeps no text with a NUL or with half a character, also where it is within JSON. */

export const storable = (text: string) => text.replaceAll("\0", "\u{FFFD}").toWellFormed();

export const isStorable = (text: string) => storable(text) === text;

/** How JSON.stringify writes them; the backslashes before are pairs, each of which is one of the text. */
const ESCAPED = /(?<!\\)((?:\\\\)*)\\u(?:0000|d[89a-f][0-9a-f]{2})/g;

export const storableJson = (value: unknown) => JSON.stringify(value).replace(ESCAPED, "$1\\ufffd");

export const isStorableJson = (value: unknown) => JSON.stringify(value).search(ESCAPED) < 0;
