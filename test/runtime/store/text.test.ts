/** Text that PostgreSQL does not keep. */
import { expect, test } from "vitest";
import { isStorableJson, storableJson } from "../../../runtime/store/text.ts";

const R = "\ufffd";

test.each([
  ["\0", R],
  ["\ud83d", R],
  ["\ude00\ud83d", R + R],
  ["\\\0", `\\${R}`],
  ["\\\\\ud800", `\\\\${R}`],
  ["\0\0\udfff", R + R + R],
])("in JSON, %j becomes %j", (text, kept) => {
  expect(JSON.parse(storableJson({ [text]: [text] }))).toEqual({ [kept]: [kept] });
  expect(isStorableJson([text])).toBe(false);
});

test.each(["\\u0000", "\\\\ud800", "😀", "\u0001\n", "\\", "\\\\u0000"])("%j stays", (text) => {
  expect(JSON.parse(storableJson([text]))).toEqual([text]);
  expect(isStorableJson({ text })).toBe(true);
});
