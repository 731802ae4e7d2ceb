/** Pictures of screens: what older QEMUs make becomes PNG. */
import { decode } from "fast-png";
import { describe, expect, test } from "vitest";
import { ppmToPng } from "../../../../runtime/libvirt/domain/ppm.ts";

const PIXELS = [255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 8, 7, 10, 13, 32, 35, 0, 1];

test.each(["P6\n3 2\n255\n", "P6 3 2 255 ", "P6\n# by QEMU\n3 # wide\n2\n255\n"])(
  "%j",
  async (head) => {
    const png = decode(await ppmToPng(Buffer.concat([Buffer.from(head), Buffer.from(PIXELS)])));
    expect([png.width, png.height, png.channels, [...png.data]]).toEqual([3, 2, 3, PIXELS]);
  },
);

describe("what cannot be read", () => {
  test.each([
    ["cut off", "P6\n3 2\n255\n123"],
    ["of 16 bits", "P6\n1 1\n65535\n123456"],
    ["of no size", "P6\n0 0\n255\n"],
    ["no picture", "P6 hello"],
  ])("%s", async (_what, text) => {
    await expect(ppmToPng(Buffer.from(text))).rejects.toMatchObject({ code: "unsupported" });
  });
});
