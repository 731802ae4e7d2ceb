/** A message, and its words for people. */

export const TYPES = [
  "job.completed",
  "job.failed",
  "job.cancelled",
  "alert.firing",
  "alert.resolved",
  "summary.daily",
  "test",
] as const;
export type Type = (typeof TYPES)[number];

export interface Message {
  /** The same in each try, by which a receiver knows a repeat. */
  id: string;
  type: Type;
  /** RFC 3339, UTC: when it happened. */
  timestamp: string;
  /** `title` and `text` are for people; the rest is for programs. */
  data: MessageData;
}

export interface MessageData {
  title: string;
  text: string;
  [key: string]: unknown;
}

/** One line, of a bounded length: names in it are other people's. */
export const oneLine = (text: string, length = 200) => {
  const line = text.replace(/\p{Cc}+/gu, " ").trim();
  return line.length > length ? `${line.slice(0, length).toWellFormed()}…` : line;
};

/** Slack, Mattermost and mail servers take this much of a text for people. */
export const TEXT_BYTES = 10_000;

/** Whole characters of a text, of at most so many bytes as JSON: a receiver that takes no more refuses the message. */
export function shorten(text: string, bytes = TEXT_BYTES): string {
  let [size, end] = [0, 0];
  for (const character of text) {
    size += Buffer.byteLength(JSON.stringify(character)) - 2; // its quotes
    if (size > bytes) return `${text.slice(0, end)}…`;
    end += character.length;
  }
  return text;
}
