/** What `virsh console` writes: its own words, the guest's, and where both meet the log. */
import { describe, expect, test } from "vitest";
import { consoleError, overlap, preface } from "../../../runtime/console/serial-output.ts";

const BEFORE = "Connected to domain 'x'\r\nEscape character is ^] (Ctrl + ])\r\n";

test("the guest's bytes begin after virsh's words, wherever the pieces end", () => {
  const text = Buffer.from(`${BEFORE}guest`);
  for (let at = 1; at < text.length; at++) {
    const split = preface();
    const first = split(text.subarray(0, at));
    const second = split(text.subarray(at));
    expect(first?.length ?? 0).toBe(Math.max(0, at - BEFORE.length));
    expect(`${second}`).toBe("guest");
  }
});

test("polkit's line is none of the guest's", () => {
  const polkit = "==== AUTHENTICATING FOR org.libvirt.unix.manage ====\r\n";
  expect(`${preface()(Buffer.from(`${polkit}${BEFORE}login:`))}`).toBe("login:");
});

describe("errors", () => {
  test.each([
    ["error: operation failed: Active console session exists for this domain", "in_use"],
    ["error: The domain is not running", "not_active"],
    [
      "error: internal error: character device serial0 is not using a PTY or UNIX socket",
      "unsupported",
    ],
    ["error: invalid argument: cannot find console device 'serial9'", "not_found"],
    ["error: something else", "virsh_failed"],
  ])("%s", (line, code) => {
    expect(consoleError(`guest output\r\n${line}\r\n`, "x")).toMatchObject({ code });
  });

  test("none", () => {
    expect(consoleError("guest output: an error: of its own\r\n", "x")).toBeUndefined();
  });
});

test.each([
  ["abcdef", "defgh", 3],
  ["abc", "abc", 3],
  ["abc", "xyz", 0],
  ["", "abc", 0],
  ["aaa", "aaaa", 3],
])("%j before %j", (log, output, length) => {
  expect(overlap(Buffer.from(log), Buffer.from(output))).toBe(length);
});
