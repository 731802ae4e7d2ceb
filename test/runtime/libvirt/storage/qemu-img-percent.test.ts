/** The percent of `qemu-img -p`, however its output is cut into pieces. */
import { expect, test } from "vitest";
import { percentReader } from "../../../../runtime/libvirt/storage/qemu-img-percent.ts";

const PRINTED = [0, 2, 34.56, 100].map((one) => `    (${one.toFixed(2)}/100%)\r`).join("");

function read(pieces: string[]) {
  const told: number[] = [];
  const reader = percentReader((percent) => told.push(percent));
  for (const piece of pieces) reader(piece);
  return told;
}

test("the last percent of a piece is told", () => {
  expect(read([PRINTED])).toEqual([100]);
  expect(read(PRINTED.match(/.*?\r/g) ?? [])).toEqual([0, 2, 34.56, 100]);
});

test.each([1, 2, 3, 5, 7, 11, 19])("pieces of %i characters tell all of them", (length) => {
  const pieces = PRINTED.match(new RegExp(`.{1,${length}}`, "gs")) ?? [];
  expect(read(pieces)).toEqual([0, 2, 34.56, 100]);
});

test("other output tells nothing, and is not kept", () => {
  const words = ["warning: (5/100%)\n", "(", "x".repeat(100_000), "/100%)"];
  expect(read([...words, "(1.00/100%)"])).toEqual([1]);
});
