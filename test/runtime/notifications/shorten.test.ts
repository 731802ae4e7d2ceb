/** Texts for people are cut where a receiver takes no more, and nowhere within a character. */
import { expect, test } from "vitest";
import { ntfyBody } from "../../../runtime/notifications/chat.ts";
import { type Message, shorten } from "../../../runtime/notifications/message.ts";

test.each([
  ["abc", 3, "abc"],
  ["abcd", 3, "abc…"],
  ["äöü", 4, "äö…"],
  ["a😀b", 4, "a…"],
  ["a😀b", 5, "a😀…"],
  ['a"b', 3, 'a"…'],
  ["a\nb", 3, "a\n…"],
  ["", 0, ""],
])("%j of %i bytes", (text, bytes, short) => {
  expect(shorten(text, bytes)).toBe(short);
});

test.each(["a", "😀", "\n", '"', "\u0001"])("ntfy takes a text of many %j", (character) => {
  const data = { title: "é".repeat(200), text: character.repeat(100_000) };
  const message: Message = { id: "1", type: "job.failed", timestamp: "", data };
  const body = ntfyBody("alerts", message);
  expect(Buffer.byteLength(body)).toBeLessThan(4096);
  expect(JSON.parse(body).message).toMatch(/…$/);
});
