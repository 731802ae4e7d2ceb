/** Who only watches a screen: what of their bytes reaches the display. */
import { describe, expect, test } from "vitest";
import { viewOnly } from "../../../runtime/console/view-only.ts";

const VERSION = Buffer.from("RFB 003.008\n");
const begin = Buffer.concat([VERSION, Buffer.from([1, 0])]);
/** Shared, whatever was asked for. */
const begun = Buffer.concat([VERSION, Buffer.from([1, 1])]);

const pixelFormat = Buffer.alloc(20);
const encodings = Buffer.from([2, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1]);
const update = Buffer.from([3, 0, 0, 0, 0, 0, 0, 1, 0, 1]);
const key = Buffer.from([4, 1, 0, 0, 0, 0, 0, 120]);
const pointer = Buffer.from([5, 1, 0, 1, 0, 1]);
const clipboard = Buffer.from([6, 0, 0, 0, 0, 0, 0, 2, 65, 66]);
const extended = Buffer.from([6, 0, 0, 0, 255, 255, 255, 252, 1, 2, 3, 4]);
const continuous = Buffer.from([150, 1, 0, 0, 0, 0, 0, 1, 0, 1]);
const fence = Buffer.from([248, 0, 0, 0, 0, 0, 0, 1, 2, 9, 9]);
const power = Buffer.from([250, 0, 1, 2]);
const size = Buffer.concat([Buffer.from([251, 0, 0, 1, 0, 1, 1, 0]), Buffer.alloc(16)]);
const qemuKey = Buffer.from([255, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]);

const sent = Buffer.concat([
  ...[begin, pixelFormat, key, encodings, pointer, update, clipboard, extended, continuous],
  ...[fence, power, size, qemuKey, update],
]);
const passed = Buffer.concat([
  ...[begun, pixelFormat, encodings, update, continuous, fence, update],
]);

test("what decides the picture passes; keys, pointer, clipboard, power and size do not", () => {
  expect(Buffer.from(viewOnly()(sent))).toEqual(passed);
});

test("in pieces of any length", () => {
  for (const length of [1, 2, 3, 7, 19]) {
    const filter = viewOnly();
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < sent.length; at += length)
      pieces.push(filter(sent.subarray(at, at + length)));
    expect(Buffer.concat(pieces), `${length}`).toEqual(passed);
  }
});

test("a password passes", () => {
  const password = Buffer.alloc(16, 7);
  const bytes = Buffer.concat([VERSION, Buffer.from([2]), password, Buffer.from([0]), key]);
  const expected = Buffer.concat([VERSION, Buffer.from([2]), password, Buffer.from([1])]);
  expect(Buffer.from(viewOnly()(bytes))).toEqual(expected);
});

describe("the connection ends at", () => {
  test.each([
    ["another version", Buffer.from("RFB 003.003\n")],
    ["another security", Buffer.concat([VERSION, Buffer.from([19])])],
    ["an unknown message", Buffer.concat([begin, Buffer.from([99])])],
    ["an unknown one of QEMU's", Buffer.concat([begin, Buffer.from([255, 1])])],
    ["a clipboard without end", Buffer.concat([begin, Buffer.from([6, 0, 0, 0, 127, 0, 0, 0])])],
  ])("%s", (_what, bytes) => {
    expect(() => viewOnly()(bytes)).toThrow(/may send VNC 3.8 without extensions/);
  });
});
