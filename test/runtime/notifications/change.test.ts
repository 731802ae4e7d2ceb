/** Changes of receivers: a stored secret goes to no other place than it was given for. */
import { expect, test } from "vitest";
import { changeOf } from "../../../runtime/notifications/change.ts";
import type { Receiver } from "../../../runtime/notifications/store.ts";

const stored = {
  settings: {
    url: "https://ops.example.com/hook",
    headers: { Authorization: "Bearer 2" },
    secret: `whsec_${"a".repeat(32)}`,
    events: ["test"],
  },
  enabled: true,
} as unknown as Receiver;
const change = (given: object) => changeOf("webhook", { ...given }, stored);

test("another path of the same server keeps it", () => {
  const { settings } = change({ url: "https://ops.example.com/other" });
  expect(settings).toMatchObject({ headers: { Authorization: "Bearer 2" } });
});

test.each([
  ["server", "https://evil.example.com/hook"],
  ["port", "https://ops.example.com:8443/hook"],
  ["scheme, in clear", "http://ops.example.com/hook"],
])("another %s needs it anew", (_what, url) => {
  expect(() => change({ url })).toThrow(/^webhook\.headers: must be given anew/);
  expect(() => change({ url, headers: { Authorization: "***" } })).toThrow(/must be given anew/);
  const { settings } = change({ url, headers: { Authorization: "Bearer 3" } });
  expect(settings).toMatchObject({ url, headers: { Authorization: "Bearer 3" } });
});
