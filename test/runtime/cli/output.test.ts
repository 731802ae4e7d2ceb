import { expect, test } from "vitest";
import { render } from "../../../runtime/cli/output.ts";

const rows = [
  { name: "lan", active: true, autostart: false, bridge: null },
  { name: "näme 漢字", active: false, autostart: false, bridge: "virbr1" },
];

test("flat rows are a table", () => {
  expect(render(rows, 80)).toBe(
    `NAME       ACTIVE  AUTOSTART  BRIDGE
lan        yes     no         -
näme 漢字  no      no         virbr1`,
  );
});

test("one that is too wide, or holds lists of rows, is written row by row", () => {
  expect(render(rows, 20)).toBe(
    `name       lan
active     yes
autostart  no
bridge     -

name       näme 漢字
active     no
autostart  no
bridge     virbr1`,
  );
  expect(render([{ name: "a", disks: [{ device: "vda", bytes: 5 }] }], 80)).toBe(
    `name  a
disks:
  DEVICE  BYTES
  vda     5`,
  );
});

test("an object: its words first, then what is in it", () => {
  const data = { a: { b: { c: 1 } }, name: "x", list: ["p", "q"], none: [], empty: {} };
  expect(render(data, 80)).toBe(
    `name   x
list   p, q
none   none
empty  none
a:
  b:
    c  1`,
  );
  expect(render([], 80)).toBe("none");
  expect(render([1, "two"], 80)).toBe("1\ntwo");
});

test("a name cannot move the cursor or turn the line around", () => {
  const evil = "\x1b[2Jx\r\n\x9b31m\u202e\x07";
  const text = render([{ [evil]: evil }], 300);
  expect(text).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u);
  expect(text).toContain(String.raw`\u{1b}[2Jx\u{d}\u{a}\u{9b}31m\u{202e}\u{7}`);
});
