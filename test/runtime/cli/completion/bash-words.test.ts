import { expect, test } from "vitest";
import { reply, splitLine } from "../../../../runtime/cli/completion/bash-words.ts";

test.each([
  ["hypersdk ca", ["hypersdk"], "ca", "ca", ""],
  ["hypersdk call ", ["hypersdk", "call"], "", "", ""],
  ["a name=my\\ ne", ["a"], "name=my ne", "name=my\\ ne", ""],
  ["a name='my ne", ["a"], "name=my ne", "name='my ne", "'"],
  ['a name="my \\"ne', ["a"], 'name=my "ne', 'name="my \\"ne', '"'],
  ["a \"x \\y\"b'c d' e", ["a", "x \\ybc d"], "e", "e", ""],
  ["a '' b", ["a", ""], "b", "b", ""],
  ["a b\\", ["a"], "b", "b\\", ""],
])("%s", (line, words, current, typed, quote) => {
  expect(splitLine(line)).toEqual({ words, current, typed, quote });
});

test.each([
  // line, what bash completes, the value, what bash gets
  ["h ca", "ca", "call", "call "],
  ["h call x name=", "", "name=lan", "lan "],
  ["h call x name=my", "my", "name=my net", "my\\ net "],
  ["h call x name=my\\ n", "my\\ n", "name=my net", "my\\ net "],
  ["h call x name='my n", "my n", "name=my net", "my net"],
  ["h call x 'name=my n", "name=my n", "name=my net", "name=my net"],
  ['h call x name="my n', "my n", 'name=my ne"t$', 'my ne\\"t\\$'],
  ["h call x name='it", "it", "name=it's", "it'\\''s"],
  ["h call x name=a:b", "b", "name=a:bc", "bc "],
  ["h call x name=it\\'", "it\\'", "name=it's; rm -rf ~", "it\\'s\\;\\ rm\\ -rf\\ \\~ "],
  ["h call x name=ü", "ü", "name=üb", "üb "],
  ["h call x customize[ho", "customize[ho", "customize[hostname]=", "customize[hostname]="],
  // typed in another way than it would be written: nothing, rather than something wrong
  ["h call x name='a b':c", "c", "name=a b:cd", undefined],
])("%s", (text, last, value, expected) => {
  expect(reply(splitLine(text), last, value, value.endsWith("="))).toBe(expected);
});
