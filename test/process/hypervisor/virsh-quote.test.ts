/** Quoting, through a real virsh: what `echo` prints must be exactly what went in. */
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { loadConfig } from "../../../runtime/core/config.ts";
import { Hypervisor } from "../../../runtime/hypervisor/hypervisor.ts";
import { localTransport } from "../../../runtime/hypervisor/local.ts";
import { quote } from "../../../runtime/hypervisor/virsh-quote.ts";
import { slow } from "../../fixtures/slowness.ts";

const { virsh: settings } = loadConfig({});
const virsh = new Hypervisor("t", "test:///default", settings, localTransport("test:///default"));
afterAll(() => virsh.close());

/** Characters that mean something to a shell, to virsh's parser, to readline or to the markers. */
const HOSTILE = [..."'\"\\$`;|&<>#!*?~-=@%^ \t\n\r\x01\x03\x04\x07\x16\x1b\x7fBEFüß漢🙂"];
const text = fc.oneof(
  fc.string({ unit: fc.constantFrom(...HOSTILE), maxLength: 40 }),
  fc.string({ unit: "binary", maxLength: 40 }).map((s) => s.replaceAll("\0", "")),
  fc.string({ unit: "grapheme", maxLength: 40 }),
);

describe("quote", () => {
  test("5,000 random strings come back from virsh as they went in", {
    timeout: slow(60_000),
  }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 10, maxLength: 10 }), async (strings) => {
        const printed = await virsh.virsh(strings.map((one) => ["echo", "--string", one]));
        expect(printed).toEqual(strings.map((one) => one.toWellFormed()));
      }),
      { numRuns: 500 },
    );
  });

  test("a string of 100,000 characters comes back", { timeout: slow(30_000) }, async () => {
    const long = "it's 'long' ".repeat(8000);
    expect(await virsh.virsh([["echo", "--string", long]])).toEqual([long]);
  });

  test("NUL cannot be handed over", () => {
    expect(() => quote("a\0b")).toThrow("NUL");
  });
});
