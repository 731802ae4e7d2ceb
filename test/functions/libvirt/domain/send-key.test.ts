/** POST /libvirt/domain/send-key: which keys virsh is told to press, and what is refused. */
import { describe, expect, test } from "vitest";
import sendKey from "../../../../functions/libvirt/domain/send-key.ts";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { answering } from "../../../fixtures/fake.ts";

const fake = (state = "running") =>
  answering((verb, ...words) => {
    if (verb === "domstate") return `${state}\n\n`;
    const wrong = words.find((word) => word === "KEY_FOO");
    if (words.includes("999")) {
      const said = "internal error: cannot translate keycode 999 of linux codeset to qnum keycode";
      return new HyperError("virsh_failed", said);
    }
    return wrong ? new HyperError("virsh_failed", `invalid keycode: '${wrong}'`) : "";
  });
const sent = ({ calls }: ReturnType<typeof fake>) => calls.filter(([verb]) => verb === "send-key");

test("keys are pressed together", async () => {
  const one = fake();
  const keys = ["KEY_LEFTCTRL", "KEY_LEFTALT", 111];
  expect(await sendKey({ name: "x", keys }, one)).toEqual({ name: "x", keys: 3 });
  expect(sent(one)).toEqual([
    ["send-key", "--domain", "x", "--codeset", "linux", "KEY_LEFTCTRL", "KEY_LEFTALT", "111"],
  ]);
});

test("of another codeset, and held", async () => {
  const one = fake();
  await sendKey({ name: "x", keys: ["VK_A"], codeset: "win32", hold_ms: 7 }, one);
  const options = ["--codeset", "win32", "--holdtime", "7"];
  expect(sent(one)).toEqual([["send-key", "--domain", "x", ...options, "VK_A"]]);
});

test("a text is typed key by key", async () => {
  const one = fake();
  expect(await sendKey({ name: "x", text: "aB~\r\n", hold_ms: 1 }, one)).toMatchObject({ keys: 6 });
  expect(sent(one).map((call) => call.slice(7))).toEqual([
    ["KEY_A"],
    ["KEY_LEFTSHIFT", "KEY_B"],
    ["KEY_LEFTSHIFT", "KEY_GRAVE"],
    ["KEY_ENTER"],
  ]);
});

test("each printable ASCII character has its own keys", async () => {
  const text = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join("");
  const one = fake();
  await sendKey({ name: "x", text, hold_ms: 1 }, one);
  const chords = sent(one).map((call) => call.slice(7).join(" "));
  expect(new Set(chords).size).toBe(95);
});

describe("refused", () => {
  test.each([
    [{}, /^give either keys or text/],
    [{ keys: ["KEY_A"], text: "a" }, /^give either keys or text/],
    [{ keys: [] }, /^keys: must name a key/],
    [{ keys: ["--help"] }, /^keys.0: must be a key's name/],
    [{ keys: [65536] }, /^keys.0: must be a key's name/],
    [{ keys: Array(17).fill("KEY_A") }, /^keys: at most 16 keys/],
    [{ keys: ["KEY_A"], codeset: "mac" }, /^codeset: /],
    [{ keys: ["KEY_A"], hold_ms: 0 }, /^hold_ms: /],
    [{ text: "grün €" }, /^text: a US keyboard has no key for "ü", "€"/],
    [{ text: "\u0007" }, /^text: a US keyboard has no key for "\\u0007"/],
    [{ text: "a", codeset: "win32" as const }, /^codeset: is of keys/],
    [{ text: "a".repeat(1000), hold_ms: 100 }, /^text: typing takes longer than 120 s/],
    [{ keys: ["KEY_FOO"] }, /^keys: codeset linux has no key KEY_FOO/],
    [{ keys: [30, 999] }, /^keys: codeset linux has no key 999;/],
  ])("%j", async (input, message) => {
    const call = sendKey({ name: "x", ...input } as Parameters<typeof sendKey>[0], fake());
    await expect(call).rejects.toMatchObject({
      code: "invalid_input",
      message: expect.stringMatching(message),
    });
  });

  test.each(["paused", "shut off", "crashed"])("a domain that is %s", async (state) => {
    const one = fake(state);
    await expect(sendKey({ name: "x", text: "a" }, one)).rejects.toMatchObject({
      code: "not_active",
      message: `domain x is not running, it is ${state}`,
    });
    expect(sent(one)).toEqual([]);
  });
});
