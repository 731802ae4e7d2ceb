/** Secrets of receivers: shown as "***", and kept where that is given back. */
import { expect, test } from "vitest";
import { mattermostText, slackText } from "../../../runtime/notifications/chat.ts";
import { hideSecrets, keepSecrets } from "../../../runtime/notifications/hidden.ts";
import { oneLine } from "../../../runtime/notifications/message.ts";
import { pauseSeconds } from "../../../runtime/notifications/outbox.ts";

const stored = {
  url: "https://ops.example.com/hook?key=1",
  headers: { Authorization: "Bearer 2" },
  secret: "whsec_3",
  events: ["test" as const],
};

test("what is hidden comes back as it was", () => {
  const shown = hideSecrets(stored);
  expect(shown).toEqual({
    url: "https://ops.example.com/hook?***",
    headers: { Authorization: "***" },
    secret: "***",
    events: ["test"],
  });
  expect(keepSecrets("webhook", shown, stored)).toEqual(stored);
});

test('"***" stands for nothing but what is stored under that very name', () => {
  const refuses = (given: object, before: object | undefined, field: RegExp) =>
    expect(() => keepSecrets("webhook", { ...given }, before && { ...before })).toThrow(field);
  refuses({ secret: "***" }, undefined, /^webhook\.secret/);
  refuses({ headers: { "X-New": "***" } }, stored, /^webhook\.headers\.X-New/);
  // a secret of one place must not be sent to another one
  refuses({ url: "https://evil.example.com/hook?***" }, stored, /^webhook\.url/);
});

test("names in a text call nobody", () => {
  expect(slackText("<!channel> a&b")).toBe("&lt;!channel&gt; a&amp;b");
  expect(mattermostText("@all")).toBe("@\u200ball");
});

test("a title is one line of bounded length", () => {
  expect(oneLine("a\r\nBcc: b\0c")).toBe("a Bcc: b c");
  expect(oneLine("x".repeat(300))).toHaveLength(201);
});

test("the pauses grow to half an hour", () => {
  expect([0, 1, 2, 10, 11, 500].map(pauseSeconds)).toEqual([1, 2, 4, 1024, 1800, 1800]);
});
