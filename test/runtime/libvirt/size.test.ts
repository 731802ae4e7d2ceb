/** Sizes as people write them. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Capacity, parseSize } from "../../../runtime/libvirt/size.ts";

const UNITS = ["", "K", "M", "G", "T", "P", "E"];

test.each([
  ["0", 0],
  ["1", 1],
  ["1b", 1],
  ["1 byte", 1],
  ["12 bytes", 12],
  ["1K", 1024],
  ["1KiB", 1024],
  ["1KB", 1000],
  ["1.5 GB", 1.5e9],
  ["1.5 GiB", 1.5 * 2 ** 30],
  ["512mib", 2 ** 29],
  ["100M", 100 * 2 ** 20],
  ["2TB", 2e12],
  ["0.1 K", 102],
  ["007 M", 7 * 2 ** 20],
])("%j is %i bytes", (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each([
  "",
  " ",
  "K",
  "GiB",
  "-1",
  "+1",
  "1e3",
  "1,5G",
  ".5G",
  "5.G",
  "1..5G",
  "0x10",
  "1 XB",
  "1KBB",
  "1 K B",
  " 1",
  "1GiB\n",
  "NaN",
  "Infinity",
  "1١",
])("%j is no size", (text) => {
  expect(parseSize(text)).toBeUndefined();
});

test("any number with any unit, in any case, with or without a space", () => {
  const number = fc.oneof(
    fc.nat(2 ** 20),
    fc.nat(4000).map((n) => n / 8),
  );
  const suffix = fc.constantFrom("", "B", "iB");
  fc.assert(
    fc.property(
      number,
      fc.nat(6),
      suffix,
      fc.boolean(),
      fc.boolean(),
      (n, power, end, low, gap) => {
        const unit = `${UNITS[power]}${end}`;
        const text = `${n}${gap ? " " : ""}${low ? unit.toLowerCase() : unit}`;
        const base = end === "B" ? 1000 : 1024;
        expect(parseSize(text)).toBe(Math.round(n * base ** power));
      },
    ),
  );
});

test("whatever is written, it is a whole number of bytes or none", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.stringMatching(/^\d{1,400}(\.\d+)? ?[KMGTPE]?i?B?$/)),
      (text) => {
        const bytes = parseSize(text);
        if (bytes !== undefined)
          expect(bytes >= 0 && (bytes === Infinity || Number.isInteger(bytes))).toBe(true);
        const { success, data } = Capacity.safeParse(text);
        const isCapacity = bytes !== undefined && bytes > 0 && bytes <= Number.MAX_SAFE_INTEGER;
        expect(success).toBe(isCapacity && !/^[\d.]+\s*$/.test(text));
        if (success) expect(data).toBe(bytes);
      },
    ),
  );
});

describe("Capacity", () => {
  test.each([
    [1, 2 ** 30],
    [0.5, 2 ** 29],
    [1.5, 1.5 * 2 ** 30],
    [1e-9, 1],
    [8_388_607, 8_388_607 * 2 ** 30],
    ["1B", 1],
    ["512MiB", 2 ** 29],
  ])("%j is %i bytes: a number is GiB", (value, bytes) => {
    expect(Capacity.parse(value)).toBe(bytes);
  });

  test.each([
    0,
    -1,
    1e-10,
    1e10,
    Number.NaN,
    Infinity,
    "0B",
    "0 GiB",
    "x",
    `${"9".repeat(400)}B`,
    "8E",
  ])("%j is refused, with what is allowed", (value) => {
    expect(Capacity.safeParse(value).success).toBe(false);
    if (Number.isFinite(value) || typeof value === "string") {
      expect(Capacity.safeParse(value).error?.issues[0]?.message).toMatch(/GiB .*"512MiB"/);
    }
  });

  test.each(["20", "0", "1.5", "20 "])("the text %j has no unit: bytes or GiB?", (text) => {
    const number = text.trim();
    const allowed = `a text needs a unit, such as "${number}GiB"; the number ${number} is GiB too`;
    expect(Capacity.safeParse(text).error?.issues[0]?.message).toBe(allowed);
  });

  test.each([null, undefined, true, {}, [1]])("%j is neither", (value) => {
    expect(Capacity.safeParse(value).success).toBe(false);
  });
});
